# SPDX-License-Identifier: Apache-2.0
"""The methods of the blocking clients, written once for gRPC and REST."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, TypeVar

from tfs_deploy.client.bound_model import BoundModel
from tfs_deploy.client.call.steps import Steps, drive
from tfs_deploy.client.core.operations import Operations
from tfs_deploy.client.predict_many import predict_many
from tfs_deploy.client.transport.hedging import HedgedTransport
from tfs_deploy.client.transport.load_balancing import BalancedTransport

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    from tfs_deploy.client.transport.transport import Transport
    from tfs_deploy.codec import PredictReply
    from tfs_deploy.codec.examples import ExampleLike

T = TypeVar("T")


class ClientBase:
    """A blocking client: each call returns when the answer has arrived."""

    def __init__(
        self, dialect: Dialect, transports: Sequence[Transport], settings: Settings, *, transport_name: str
    ) -> None:
        self._operations = Operations(dialect, settings, transport_name)
        transport: Transport = transports[0] if len(transports) == 1 else BalancedTransport(transports)
        if settings.hedge_after is not None:
            transport = HedgedTransport(transport, settings.hedge_after)
        self._transport = transport

    def predict(
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
        """Run a signature of a model.

        Args:
            model: the servable's name.
            inputs: name -> array. Arrays must have the declared dtype; Python numbers, text and nested lists take it.
            signature: ``None`` means ``serving_default``.
            label: a version label.
            version: a version number; without label and version, the server uses its highest loaded version.
            output_filter: names of the wanted outputs; none = all.
            timeout: seconds for the whole call, including retries; ``None`` = the client's.
            headers: sent in addition to the client's.

        Returns:
            The outputs by name; arrays are read-only, strings are object arrays of ``bytes``.

        Raises:
            RequestError: the inputs do not fit the signature; nothing was sent.
            StatusError: the server's answer (a subclass for each canonical code), or there was none in time.
        """
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
                return operations.finish_predict(request, call, self._transport.perform(call))
            except BaseException as error:  # noqa: BLE001 - raised again unless the steps can handle it
                failed = operations.failed_attempt(request, call, error)
        return self._run(operations.predict_steps(request, failed))

    def predict_many(
        self,
        model: str,
        examples: Iterable[Mapping[str, Any]],
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
    ) -> Iterator[Prediction]:
        """Predict many single examples in concurrent batches; yield the predictions in order.

        Args:
            model: the servable's name.
            examples: mappings of input names to values without the batch dimension; any iterable, read as needed.
            batch_size: examples per request.
            concurrency: concurrent requests, which is also the number of batches in memory.
            progress: called with the number of finished examples, and how many of them failed.
            signature: ``None`` means ``serving_default``.
            label: a version label.
            version: a version number.
            output_filter: names of the wanted outputs; none = all.
            timeout: seconds for each request, including its retries; ``None`` = the client's.
            headers: sent with each request in addition to the client's.

        Returns:
            An iterator of ``Prediction``: ``index``, outputs by name, ``error``. One bad example does not fail its
            batch: the batch is halved until the example is found.

        Raises:
            UsageError: ``batch_size`` or ``concurrency`` is less than 1.
        """
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
        return predict_many(predict, examples, batch_size=batch_size, concurrency=concurrency, progress=progress)

    def model(self, name: str, **bound: Unpack[BoundOptions]) -> BoundModel:
        """Return the client bound to a model, and optionally to arguments of ``predict`` such as ``label``."""
        return BoundModel(self, name, **bound)

    def classify(
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
        """Return the classes of tf.Examples; the signature's method is ``tensorflow/serving/classify``.

        Args:
            model: the servable's name.
            examples: mappings of feature names to numbers, text, bytes or flat lists and arrays of these; or
                tf.Examples, serialized or as messages.
            context: features that all examples share.
            signature: ``None`` means ``serving_default``.
            label: a version label.
            version: a version number.
            timeout: seconds for the whole call; ``None`` = the client's.
            headers: sent in addition to the client's.

        Raises:
            RequestError: an example is not valid, or there is no such signature; nothing was sent.
            StatusError: the server's answer, or there was none in time.
        """
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
        return self._run(steps)

    def regress(
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
        """Return the value of each tf.Example; the signature's method is ``tensorflow/serving/regress``.

        Arguments and errors are those of ``classify``.
        """
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
        return self._run(steps)

    def multi_inference(
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
        """Return classes and values of the same tf.Examples, from several signatures in one request.

        Args:
            model: the servable's name; all tasks run on one version of it.
            examples: see ``classify``.
            tasks: pairs of ``"classify"`` or ``"regress"`` and the name of a signature.
            context: see ``classify``.
            label: a version label.
            version: a version number.
            timeout: seconds for the whole call; ``None`` = the client's.
            headers: sent in addition to the client's.

        Returns:
            A ``ClassifyReply`` or ``RegressReply`` for each task, in order.

        Raises:
            UnimplementedError: the client uses REST, which has no such method.
        """
        steps = self._operations.multi_inference(
            model, examples, tasks, context=context, label=label, version=version, timeout=timeout, headers=headers
        )
        return self._run(steps)

    def status(self, model: str, *, version: int | None = None, timeout: float | None = None) -> list[VersionStatus]:
        """Return the states of a model's versions, highest version first; ended versions stay listed.

        Raises:
            NotFoundError: the server never had such a model or version.
        """
        return self._run(self._operations.status(model, version=version, timeout=timeout))

    def metadata(
        self, model: str, *, version: int | None = None, label: str | None = None, timeout: float | None = None
    ) -> ModelMetadata:
        """Return the signatures and the number of the version that a request would reach.

        Raises:
            NotFoundError: there is no such version.
            InvalidArgumentError: there is no such label.
        """
        return self._run(self._operations.metadata(model, label=label, version=version, timeout=timeout))

    def wait_ready(
        self, model: str, *, version: int | None = None, label: str | None = None, timeout: float = 60.0
    ) -> int:
        """Wait until the model, or its version or label, answers requests; return the version's number.

        Raises:
            DeadlineExceededError: it was not ready within ``timeout`` seconds; the message names what was seen last.
            StatusError: the version ended with an error, which the server does not retry; the message is the server's.
        """
        return self._run(self._operations.wait_ready(model, label=label, version=version, timeout=timeout))

    def reload(self, config: Any, *, timeout: float | None = None) -> None:
        """Replace the server's whole model configuration; models that are not in the new one are unloaded.

        The call returns when newly added models are loaded, but does not wait for new versions of known models
        (model_servers/server_core.cc): use ``wait_ready`` for those.

        Args:
            config: a ``ModelServerConfig``, as a message or in protobuf text format.
            timeout: seconds; ``None`` = the client's.

        Raises:
            FailedPreconditionError: a label names a version that is not loaded; nothing was changed.
            StatusError: any other error of the server, as gRPC status or in the response.
            UnimplementedError: the client uses REST, which has no such method.
        """
        self._run(self._operations.reload(config, timeout=timeout))

    def stats(self) -> ClientStats:
        """Return what this client has done so far: calls, failures, attempts, bytes, latencies."""
        return self._operations.policy.statistics.read()

    def close(self) -> None:
        """Close the connections; later calls are refused."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    def _run(self, steps: Steps[T]) -> T:
        return drive(steps, self._transport.perform, time.sleep)
