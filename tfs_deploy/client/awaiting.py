"""The methods of the asynchronous clients, written once for gRPC and REST; what they do is in ``core``."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from tfs_deploy.client.conduct import Conduct
from tfs_deploy.client.core import Core
from tfs_deploy.client.steps import Steps, drive_async
from tfs_deploy.client.transport import AsyncBalancedTransport, AsyncHedgedTransport, AsyncTransport
from tfs_deploy.client.values import NO_MODEL, ModelMetadata, VersionStatus, model_ref

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from tfs_deploy.client.dialect import Dialect
    from tfs_deploy.client.options import Settings
    from tfs_deploy.client.record import CallRecord
    from tfs_deploy.client.stats import ClientStats
    from tfs_deploy.codec import PredictReply

T = TypeVar("T")


class AwaitingClient:
    """A client whose calls are awaited; arguments, results and errors are those of ``BlockingClient``."""

    def __init__(
        self, dialect: Dialect, transports: Sequence[AsyncTransport], settings: Settings, transport_name: str
    ) -> None:
        self._core = Core(dialect, timeout=settings.timeout, check=settings.check)
        self._conduct = Conduct(settings, transport_name)
        transport = transports[0] if len(transports) == 1 else AsyncBalancedTransport(transports)
        if settings.hedge_after is not None:
            transport = AsyncHedgedTransport(transport, settings.hedge_after)
        self._transport: AsyncTransport = transport

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
        headers: Mapping[str, str] | None = None,
    ) -> PredictReply:
        """Run a signature of a model; see ``BlockingClient.predict``."""
        conduct = self._conduct
        ref = conduct.ref(model, label, version)
        signature = signature or conduct.settings.signature
        return await self._run(
            self._core.predict(ref, inputs, signature=signature, output_filter=output_filter, timeout=timeout),
            conduct.begin("predict", ref, signature, headers),
        )

    async def status(
        self,
        model: str,
        *,
        version: int | None = None,
        timeout: float | None = None,
    ) -> list[VersionStatus]:
        """Return the states of a model's versions; see ``BlockingClient.status``."""
        ref = model_ref(model, None, version)
        return await self._run(self._core.status(ref, timeout=timeout), self._conduct.begin("status", ref))

    async def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> ModelMetadata:
        """Return the signatures of a version, and its number; see ``BlockingClient.metadata``."""
        ref = self._conduct.ref(model, label, version)
        return await self._run(self._core.metadata(ref, timeout=timeout), self._conduct.begin("metadata", ref))

    async def wait_ready(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 60.0,
    ) -> int:
        """Wait until a model answers requests; see ``BlockingClient.wait_ready``."""
        ref = self._conduct.ref(model, label, version)
        return await self._run(self._core.wait_ready(ref, timeout=timeout), self._conduct.begin("wait_ready", ref))

    async def reload(
        self,
        config: Any,
        *,
        timeout: float | None = None,
    ) -> None:
        """Replace the server's whole model configuration; see ``BlockingClient.reload``."""
        await self._run(self._core.reload(config, timeout=timeout), self._conduct.begin("reload", NO_MODEL))

    def stats(self) -> ClientStats:
        """Return what this client has done so far; see ``BlockingClient.stats``."""
        return self._conduct.statistics.read()

    async def close(self) -> None:
        """Close the connections; calls after this are refused."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    async def _run(self, steps: Steps[T], record: CallRecord) -> T:
        try:
            result = await drive_async(self._conduct.attempts(steps, record), self._transport.perform, asyncio.sleep)
        except BaseException as error:
            self._conduct.end(record, error=error)
            raise
        self._conduct.end(record, result)
        return result
