"""The methods of the asynchronous clients, written once for gRPC and REST; what they do is in ``core``."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, TypeVar

from tfs_deploy.client.bound_model import BoundModel
from tfs_deploy.client.call.steps import Steps, drive_async
from tfs_deploy.client.core.operations import Operations
from tfs_deploy.client.predict_many import predict_many_async
from tfs_deploy.client.transport import AsyncBalancedTransport, AsyncHedgedTransport, AsyncTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from tfs_deploy.client.call.example_replies import ClassifyReply, RegressReply, Task, TaskReply
    from tfs_deploy.client.call.replies import ModelMetadata, VersionStatus
    from tfs_deploy.client.call.stats import ClientStats
    from tfs_deploy.client.core.batching import Prediction
    from tfs_deploy.client.core.dialect import Dialect
    from tfs_deploy.client.options import Settings
    from tfs_deploy.client.predict_many import Progress
    from tfs_deploy.codec import PredictReply
    from tfs_deploy.codec.examples import ExampleLike

T = TypeVar("T")


class AwaitingClient:
    """A client whose calls are awaited; arguments, results and errors are those of ``BlockingClient``."""

    def __init__(
        self, dialect: Dialect, transports: Sequence[AsyncTransport], settings: Settings, transport_name: str
    ) -> None:
        self._operations = Operations(dialect, settings, transport_name)
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
        operations = self._operations
        request = operations.predict(model, inputs, signature, label, version, output_filter, timeout, headers)
        call = request.call
        if call is not None:
            try:
                return operations.answered(request, call, await self._transport.perform(call))
            except BaseException as error:  # noqa: BLE001 - raised again unless the steps can mend it
                operations.failed(request, call, error)
        return await self._run(operations.steps(request))

    def predict_many(
        self,
        model: str,
        examples: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        batch_size: int = 32,
        concurrency: int = 4,
        progress: Progress | None = None,
        **more: Any,
    ) -> AsyncIterator[Prediction]:
        """Predict many examples in batches; see ``BlockingClient.predict_many``; iterate with ``async for``."""
        ask = functools.partial(self.predict, model, **more)
        return predict_many_async(ask, examples, batch_size=batch_size, concurrency=concurrency, progress=progress)

    def model(self, name: str, **bound: Any) -> BoundModel:
        """Bind a model, and if given ``label``, ``version``, ``signature`` and more arguments of ``predict``."""
        return BoundModel(self, name, **bound)

    async def classify(
        self,
        model: str,
        examples: Iterable[ExampleLike],
        *,
        context: ExampleLike | None = None,
        signature: str | None = None,
        label: str | None = None,
        version: int | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> ClassifyReply:
        """Classify examples; see ``BlockingClient.classify``."""
        steps: Steps[ClassifyReply] = self._operations.inference(
            "classify", model, examples, context, signature, label, version, timeout, headers
        )
        return await self._run(steps)

    async def regress(
        self,
        model: str,
        examples: Iterable[ExampleLike],
        *,
        context: ExampleLike | None = None,
        signature: str | None = None,
        label: str | None = None,
        version: int | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> RegressReply:
        """Return the value of each example; see ``BlockingClient.regress``."""
        steps: Steps[RegressReply] = self._operations.inference(
            "regress", model, examples, context, signature, label, version, timeout, headers
        )
        return await self._run(steps)

    async def multi_inference(
        self,
        model: str,
        examples: Iterable[ExampleLike],
        tasks: Sequence[Task | tuple[str, str | None]],
        *,
        context: ExampleLike | None = None,
        label: str | None = None,
        version: int | None = None,
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> list[TaskReply]:
        """Run several signatures on the same examples; see ``BlockingClient.multi_inference``."""
        steps = self._operations.multi_inference(model, examples, context, tasks, label, version, timeout, headers)
        return await self._run(steps)

    async def status(
        self,
        model: str,
        *,
        version: int | None = None,
        timeout: float | None = None,
    ) -> list[VersionStatus]:
        """Return the states of a model's versions; see ``BlockingClient.status``."""
        return await self._run(self._operations.status(model, version, timeout))

    async def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> ModelMetadata:
        """Return the signatures of a version, and its number; see ``BlockingClient.metadata``."""
        return await self._run(self._operations.metadata(model, label, version, timeout))

    async def wait_ready(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 60.0,
    ) -> int:
        """Wait until a model answers requests; see ``BlockingClient.wait_ready``."""
        return await self._run(self._operations.wait_ready(model, label, version, timeout))

    async def reload(
        self,
        config: Any,
        *,
        timeout: float | None = None,
    ) -> None:
        """Replace the server's whole model configuration; see ``BlockingClient.reload``."""
        await self._run(self._operations.reload(config, timeout))

    def stats(self) -> ClientStats:
        """Return what this client has done so far; see ``BlockingClient.stats``."""
        return self._operations.conduct.statistics.read()

    async def close(self) -> None:
        """Close the connections; calls after this are refused."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    async def _run(self, steps: Steps[T]) -> T:
        return await drive_async(steps, self._transport.perform, asyncio.sleep)
