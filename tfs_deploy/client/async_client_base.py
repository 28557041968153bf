# SPDX-License-Identifier: Apache-2.0
"""The methods of the asynchronous clients, written once for gRPC and REST; the work is in ``core``."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any, TypeVar

from tfs_deploy.client.bound_model import BoundModel
from tfs_deploy.client.call.steps import Steps, drive_async
from tfs_deploy.client.core.operations import Operations
from tfs_deploy.client.predict_many import predict_many_async
from tfs_deploy.client.transport.hedging import AsyncHedgedTransport
from tfs_deploy.client.transport.load_balancing import AsyncBalancedTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import Self, Unpack

    from tfs_deploy.client.call.call import FailedAttempt
    from tfs_deploy.client.call.inference_replies import ClassifyReply, RegressReply, Task, TaskReply
    from tfs_deploy.client.call.model_replies import ModelMetadata, VersionStatus
    from tfs_deploy.client.call.predict_request import BoundOptions
    from tfs_deploy.client.call.stats import ClientStats
    from tfs_deploy.client.core.batching import Prediction
    from tfs_deploy.client.core.dialect import Dialect
    from tfs_deploy.client.options import Settings
    from tfs_deploy.client.predict_many import Progress
    from tfs_deploy.client.transport.transport import AsyncTransport
    from tfs_deploy.codec import PredictReply
    from tfs_deploy.codec.examples import ExampleLike

T = TypeVar("T")


class AsyncClientBase:
    """A client whose calls are awaited; arguments, results and errors are those of ``ClientBase``."""

    def __init__(
        self, dialect: Dialect, transports: Sequence[AsyncTransport], settings: Settings, *, transport_name: str
    ) -> None:
        self._operations = Operations(dialect, settings, transport_name)
        transport: AsyncTransport = transports[0] if len(transports) == 1 else AsyncBalancedTransport(transports)
        if settings.hedge_after is not None:
            transport = AsyncHedgedTransport(transport, settings.hedge_after)
        self._transport = transport

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
        """Run a signature of a model; see ``ClientBase.predict``."""
        operations = self._operations
        request, call = operations.begin_predict(
            model,
            inputs,
            signature=signature,
            label=label,
            version=version,
            output_filter=output_filter,
            timeout=timeout,
            headers=headers,
        )
        failed: FailedAttempt | None = None
        if call is not None:
            try:
                return operations.finish_predict(request, call, await self._transport.perform(call))
            except BaseException as error:  # noqa: BLE001 - raised again unless the steps can handle it
                failed = operations.failed_attempt(request, call, error)
        return await self._run(operations.predict_steps(request, failed))

    def predict_many(
        self,
        model: str,
        examples: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]],
        *,
        batch_size: int = 32,
        concurrency: int = 4,
        progress: Progress | None = None,
        signature: str | None = None,
        label: str | None = None,
        version: int | None = None,
        output_filter: Iterable[str] = (),
        timeout: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Prediction]:
        """Predict many examples in concurrent batches; see ``ClientBase.predict_many``; iterate with ``async for``."""
        predict = functools.partial(
            self.predict,
            model,
            signature=signature,
            label=label,
            version=version,
            output_filter=output_filter,
            timeout=timeout,
            headers=headers,
        )
        return predict_many_async(predict, examples, batch_size=batch_size, concurrency=concurrency, progress=progress)

    def model(self, name: str, **bound: Unpack[BoundOptions]) -> BoundModel:
        """Return the client bound to a model, and optionally to arguments of ``predict`` such as ``label``."""
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
        """Classify examples; see ``ClientBase.classify``."""
        steps: Steps[ClassifyReply] = self._operations.inference(
            "classify",
            model,
            examples,
            context=context,
            signature=signature,
            label=label,
            version=version,
            timeout=timeout,
            headers=headers,
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
        """Return the value of each example; see ``ClientBase.regress``."""
        steps: Steps[RegressReply] = self._operations.inference(
            "regress",
            model,
            examples,
            context=context,
            signature=signature,
            label=label,
            version=version,
            timeout=timeout,
            headers=headers,
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
        """Run several signatures on the same examples; see ``ClientBase.multi_inference``."""
        steps = self._operations.multi_inference(
            model, examples, tasks, context=context, label=label, version=version, timeout=timeout, headers=headers
        )
        return await self._run(steps)

    async def status(
        self,
        model: str,
        *,
        version: int | None = None,
        timeout: float | None = None,
    ) -> list[VersionStatus]:
        """Return the states of a model's versions; see ``ClientBase.status``."""
        return await self._run(self._operations.status(model, version=version, timeout=timeout))

    async def metadata(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float | None = None,
    ) -> ModelMetadata:
        """Return the signatures and the number of a version; see ``ClientBase.metadata``."""
        return await self._run(self._operations.metadata(model, label=label, version=version, timeout=timeout))

    async def wait_ready(
        self,
        model: str,
        *,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 60.0,
    ) -> int:
        """Wait until a model answers requests; see ``ClientBase.wait_ready``."""
        return await self._run(self._operations.wait_ready(model, label=label, version=version, timeout=timeout))

    async def reload(
        self,
        config: Any,
        *,
        timeout: float | None = None,
    ) -> None:
        """Replace the server's whole model configuration; see ``ClientBase.reload``."""
        await self._run(self._operations.reload(config, timeout=timeout))

    def stats(self) -> ClientStats:
        """Return what this client has done so far; see ``ClientBase.stats``."""
        return self._operations.policy.statistics.read()

    async def close(self) -> None:
        """Close the connections; later calls are refused."""
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transport.close()

    async def _run(self, steps: Steps[T]) -> T:
        return await drive_async(steps, self._transport.perform, asyncio.sleep)
