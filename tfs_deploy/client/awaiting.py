"""The methods of the asynchronous clients, written once for gRPC and REST; what they do is in ``core``."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, TypeVar, cast

from tfs_deploy.client.bound import BoundModel
from tfs_deploy.client.conduct import Conduct
from tfs_deploy.client.core import Core
from tfs_deploy.client.many import predict_many_async
from tfs_deploy.client.steps import Failure, Steps, drive_async
from tfs_deploy.client.transport import AsyncBalancedTransport, AsyncHedgedTransport, AsyncTransport
from tfs_deploy.client.values import NO_MODEL, ModelMetadata, VersionStatus, model_ref
from tfs_deploy.errors import StatusError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from tfs_deploy.client.batching import Prediction
    from tfs_deploy.client.dialect import Dialect
    from tfs_deploy.client.example_replies import ClassifyReply, RegressReply, Task, TaskReply
    from tfs_deploy.client.many import Progress
    from tfs_deploy.client.options import Settings
    from tfs_deploy.client.record import CallRecord
    from tfs_deploy.client.stats import ClientStats
    from tfs_deploy.codec import PredictReply
    from tfs_deploy.codec.examples import ExampleLike

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
        wanted = tuple(output_filter)
        record = conduct.begin("predict", ref, signature, headers)
        failure: Failure | None = None
        try:
            call = self._core.ready(ref, inputs, signature, wanted, timeout)
            if call is not None:
                total = call.timeout
                try:
                    answer = await self._transport.perform(conduct.first(call, record))
                    record.bytes_received = len(answer)
                    reply = self._core.read_ready(call, answer)
                except StatusError as error:
                    failure = conduct.failed(call, record, total, error)
                else:
                    conduct.end(record, reply)
                    return reply
        except BaseException as error:
            conduct.end(record, error=error)
            raise
        steps = self._core.predict(
            ref, inputs, signature=signature, output_filter=wanted, timeout=timeout, since=record.began
        )
        return await self._run(steps, record, failure)

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
        conduct = self._conduct
        ref = conduct.ref(model, label, version)
        signature = signature or conduct.settings.signature
        steps = self._core.inference("classify", ref, examples, context, signature=signature, timeout=timeout)
        return cast("ClassifyReply", await self._run(steps, conduct.begin("classify", ref, signature, headers)))

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
        conduct = self._conduct
        ref = conduct.ref(model, label, version)
        signature = signature or conduct.settings.signature
        steps = self._core.inference("regress", ref, examples, context, signature=signature, timeout=timeout)
        return cast("RegressReply", await self._run(steps, conduct.begin("regress", ref, signature, headers)))

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
        ref = self._conduct.ref(model, label, version)
        steps = self._core.multi_inference(ref, examples, context, tasks, timeout=timeout)
        return await self._run(steps, self._conduct.begin("multi_inference", ref, None, headers))

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

    async def _run(self, steps: Steps[T], record: CallRecord, failure: Failure | None = None) -> T:
        try:
            steps = self._conduct.attempts(steps, record, failure)
            result = await drive_async(steps, self._transport.perform, asyncio.sleep)
        except BaseException as error:
            self._conduct.end(record, error=error)
            raise
        self._conduct.end(record, result)
        return result
