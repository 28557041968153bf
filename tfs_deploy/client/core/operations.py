"""What the methods of a client do, as steps: blocking and awaiting clients only run them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from tfs_deploy.client.call.replies import NO_MODEL, ModelMetadata, VersionStatus, model_ref
from tfs_deploy.client.call.request import PredictRequest
from tfs_deploy.client.call.steps import Failure
from tfs_deploy.client.core.call_policy import Conduct
from tfs_deploy.client.core.requests import Core
from tfs_deploy.errors import RequestError, StatusError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.client.call.call_record import CallRecord
    from tfs_deploy.client.call.example_replies import TaskReply
    from tfs_deploy.client.call.steps import Call, Steps
    from tfs_deploy.client.core.dialect import Dialect
    from tfs_deploy.client.options import Settings
    from tfs_deploy.codec import PredictReply
    from tfs_deploy.codec.examples import ExampleLike

T = TypeVar("T")


class Operations:
    """The calls of one client: whom they are for, their record, and their attempts."""

    def __init__(self, dialect: Dialect, settings: Settings, transport_name: str) -> None:
        self.core = Core(dialect, timeout=settings.timeout, check=settings.check)
        self.conduct = Conduct(settings, transport_name)

    def predict(
        self,
        model: str,
        inputs: Mapping[str, Any],
        signature: str | None,
        label: str | None,
        version: int | None,
        output_filter: Iterable[str],
        timeout: float | None,
        headers: Mapping[str, str] | None,
    ) -> PredictRequest:
        """Begin a Predict; with a ``call`` that is like an earlier one's, or else it takes ``steps``."""
        conduct = self.conduct
        ref = conduct.ref(model, label, version)
        signature = signature or conduct.settings.signature
        record = conduct.begin("predict", ref, signature, headers)
        try:
            request = PredictRequest(ref, inputs, record, signature, _names(output_filter), timeout)
            call = request.call = self.core.ready(request)
            if call is not None:
                conduct.first(call, record)
        except BaseException as error:
            conduct.end(record, error=error)
            raise
        return request

    def answered(self, request: PredictRequest, call: Call, answer: bytes) -> PredictReply:
        """Read the answer to the ``call`` of a Predict, which ends it."""
        record = request.record
        record.bytes_received = len(answer)
        reply = self.core.read_ready(request, call, answer)
        self.conduct.end(record, reply)
        return reply

    def failed(self, request: PredictRequest, call: Call, error: BaseException) -> None:
        """Leave a failure of the ``call`` to the ``steps``; raise what they cannot mend, or not in time."""
        total = self.core.seconds(request)
        end = request.record.began + total
        if not isinstance(error, StatusError) or self.conduct.over(end):
            self.conduct.end(request.record, error=error)
            raise error
        request.failure = Failure(call, error, total, end)

    def steps(self, request: PredictRequest) -> Steps[PredictReply]:
        """Check the inputs of a Predict, send them, read the reply."""
        return self._recorded(self.core.predict(request), request.record, request.failure)

    def inference(
        self,
        method: str,
        model: str,
        examples: Iterable[ExampleLike],
        context: ExampleLike | None,
        signature: str | None,
        label: str | None,
        version: int | None,
        timeout: float | None,
        headers: Mapping[str, str] | None,
    ) -> Steps[Any]:
        """Classify or regress tf.Examples (``method`` in lower case)."""
        ref = self.conduct.ref(model, label, version)
        signature = signature or self.conduct.settings.signature
        steps = self.core.inference(method, ref, examples, context, signature=signature, timeout=timeout)
        return self._recorded(steps, self.conduct.begin(method, ref, signature, headers))

    def multi_inference(
        self,
        model: str,
        examples: Iterable[ExampleLike],
        context: ExampleLike | None,
        tasks: Sequence[Any],
        label: str | None,
        version: int | None,
        timeout: float | None,
        headers: Mapping[str, str] | None,
    ) -> Steps[list[TaskReply]]:
        """Classify and regress the same tf.Examples."""
        ref = self.conduct.ref(model, label, version)
        steps = self.core.multi_inference(ref, examples, context, tasks, timeout=timeout)
        return self._recorded(steps, self.conduct.begin("multi_inference", ref, None, headers))

    def status(self, model: str, version: int | None, timeout: float | None) -> Steps[list[VersionStatus]]:
        """Ask for the states of a model's versions; the client's label and version do not count."""
        ref = model_ref(model, None, version)
        return self._recorded(self.core.status(ref, timeout=timeout), self.conduct.begin("status", ref))

    def metadata(
        self, model: str, label: str | None, version: int | None, timeout: float | None
    ) -> Steps[ModelMetadata]:
        """Ask for the signatures of a version."""
        ref = self.conduct.ref(model, label, version)
        return self._recorded(self.core.metadata(ref, timeout=timeout), self.conduct.begin("metadata", ref))

    def wait_ready(self, model: str, label: str | None, version: int | None, timeout: float) -> Steps[int]:
        """Ask until the model answers."""
        ref = self.conduct.ref(model, label, version)
        return self._recorded(self.core.wait_ready(ref, timeout=timeout), self.conduct.begin("wait_ready", ref))

    def reload(self, config: Any, timeout: float | None) -> Steps[None]:
        """Replace the server's configuration."""
        return self._recorded(self.core.reload(config, timeout=timeout), self.conduct.begin("reload", NO_MODEL))

    def _recorded(self, steps: Steps[T], record: CallRecord, failure: Failure | None = None) -> Steps[T]:
        """Run the steps in attempts; close the record with what comes of them."""
        try:
            result = yield from self.conduct.attempts(steps, record, failure)
        except BaseException as error:
            self.conduct.end(record, error=error)
            raise
        self.conduct.end(record, result)
        return result


def _names(output_filter: Iterable[str]) -> tuple[str, ...]:
    if output_filter == ():
        return ()
    names = tuple(output_filter) if isinstance(output_filter, Iterable) else (output_filter,)
    if isinstance(output_filter, str) or not all(isinstance(name, str) for name in names):
        raise RequestError(f"output_filter is {output_filter!r}", hint='give a list of names: ["y"]')
    return names
