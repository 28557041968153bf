"""The methods of the asynchronous clients, written once for gRPC and REST; what they do is in ``core``."""

from __future__ import annotations

import abc
import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from tfs_deploy.client.steps import Call, Steps, drive_async
from tfs_deploy.client.values import ModelMetadata, VersionStatus, model_ref

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType

    from typing_extensions import Self

    from tfs_deploy.client.core import Core
    from tfs_deploy.codec import PredictReply

T = TypeVar("T")


class AwaitingClient(abc.ABC):
    """A client whose calls are awaited; arguments, results and errors are those of ``BlockingClient``."""

    _core: Core

    async def predict(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        signature: str | None = None,
        label: str | None = None,
        version: int | None = None,
        output_filter: Iterable[str] = (),
        timeout: float | None = None,
    ) -> PredictReply:
        """Run a signature of a model; see ``BlockingClient.predict``."""
        ref = model_ref(model, label, version)
        return await self._run(
            self._core.predict(ref, inputs, signature=signature, output_filter=output_filter, timeout=timeout)
        )

    async def status(
        self,
        model: str,
        *,
        version: int | None = None,
        timeout: float | None = None,
    ) -> list[VersionStatus]:
        """Return the states of a model's versions; see ``BlockingClient.status``."""
        return await self._run(self._core.status(model_ref(model, None, version), timeout=timeout))

    async def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> ModelMetadata:
        """Return the signatures of a version, and its number; see ``BlockingClient.metadata``."""
        return await self._run(self._core.metadata(model_ref(model, label, version), timeout=timeout))

    async def wait_ready(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 60.0,
    ) -> int:
        """Wait until a model answers requests; see ``BlockingClient.wait_ready``."""
        return await self._run(self._core.wait_ready(model_ref(model, label, version), timeout=timeout))

    async def reload(
        self,
        config: Any,
        *,
        timeout: float | None = None,
    ) -> None:
        """Replace the server's whole model configuration; see ``BlockingClient.reload``."""
        await self._run(self._core.reload(config, timeout=timeout))

    async def close(self) -> None:
        """Close the connections; calls after this are refused."""
        await self._close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _run(self, steps: Steps[T]) -> T:
        return await drive_async(steps, self._perform, asyncio.sleep)

    @abc.abstractmethod
    async def _perform(self, call: Call) -> bytes:
        """Send one call."""

    @abc.abstractmethod
    async def _close(self) -> None:
        """Release what the transport holds."""
