# SPDX-License-Identifier: Apache-2.0
"""The methods of a client as steps, each call with its record and its attempts; the clients only run them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from tfs_deploy.client.call.call import FailedAttempt
from tfs_deploy.client.call.model_ref import NO_MODEL, model_ref
from tfs_deploy.client.call.predict_request import PredictRequest
from tfs_deploy.client.core.call_policy import CallPolicy
from tfs_deploy.client.core.request_steps import RequestSteps
from tfs_deploy.errors import RequestError, StatusError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.client.call.call import Call
    from tfs_deploy.client.call.call_record import CallRecord
    from tfs_deploy.client.call.inference_replies import TaskReply
    from tfs_deploy.client.call.model_replies import ModelMetadata, VersionStatus
    from tfs_deploy.client.call.steps import Steps
    from tfs_deploy.client.core.dialect import Dialect
    from tfs_deploy.client.options import Settings
    from tfs_deploy.codec import PredictReply
    from tfs_deploy.codec.examples import ExampleLike

T = TypeVar("T")


class Operations:
    """The calls of one client.

    A Predict has two ways. If it is like an earlier request, ``begin_predict`` also returns a ``Call``, which the
    client sends at once: the answer goes to ``finish_predict``, a failure to ``failed_attempt``. Everything else, and
    whatever follows a failed attempt, is done by ``predict_steps``.
    """

    def __init__(self, dialect: Dialect, settings: Settings, transport_name: str) -> None:
        self.request_steps = RequestSteps(dialect, timeout=settings.timeout, check=settings.check)
        self.policy = CallPolicy(settings, transport_name)

    def begin_predict(
        self,
        model: str,
        inputs: Mapping[str, Any],
        *,
        signature: str | None,
        label: str | None,
        version: int | None,
        output_filter: Iterable[str],
        timeout: float | None,
        headers: Mapping[str, str] | None,
    ) -> tuple[PredictRequest, Call | None]:
        """Open the record of a Predict; return the request, and the call to send at once if there is a template."""
        policy = self.policy
        ref = policy.model_ref(model, label, version)
        signature = signature or policy.settings.signature
        record = policy.begin("predict", ref, signature, headers)
        try:
            names = () if output_filter == () else _checked_names(output_filter)
            request = PredictRequest(ref, inputs, record, signature, names, timeout)
            call = self.request_steps.from_template(request)
            if call is not None:
                policy.begin_first_attempt(call, record)
        except BaseException as error:
            policy.end(record, error=error)
            raise
        return request, call

    def finish_predict(self, request: PredictRequest, call: Call, answer: bytes) -> PredictReply:
        """Return the reply in the answer to a call written from a template; this ends the client's call."""
        record = request.record
        record.bytes_received = len(answer)
        reply = self.request_steps.read_reply(request, call, answer)
        self.policy.end(record, reply)
        return reply

    def failed_attempt(self, request: PredictRequest, call: Call, error: BaseException) -> FailedAttempt:
        """Return a failed attempt for ``predict_steps`` to take over; raise the error if nothing can follow it."""
        seconds = self.request_steps.timeout_of(request)
        end = request.record.began + seconds
        if not isinstance(error, StatusError) or self.policy.has_passed(end):
            self.policy.end(request.record, error=error)
            raise error
        return FailedAttempt(call, error, seconds, end)

    def predict_steps(self, request: PredictRequest, failed: FailedAttempt | None) -> Steps[PredictReply]:
        """Return the steps of a Predict, which go on from the attempt that failed, if there was one."""
        return self._recorded(self.request_steps.predict(request), request.record, failed)

    def inference(
        self,
        method: str,
        model: str,
        examples: Iterable[ExampleLike],
        *,
        context: ExampleLike | None,
        signature: str | None,
        label: str | None,
        version: int | None,
        timeout: float | None,
        headers: Mapping[str, str] | None,
    ) -> Steps[Any]:
        """Return the steps of a Classify or Regress (``method`` in lower case)."""
        ref = self.policy.model_ref(model, label, version)
        signature = signature or self.policy.settings.signature
        steps = self.request_steps.inference(method, ref, examples, context, signature=signature, timeout=timeout)
        return self._recorded(steps, self.policy.begin(method, ref, signature, headers))

    def multi_inference(
        self,
        model: str,
        examples: Iterable[ExampleLike],
        tasks: Sequence[Any],
        *,
        context: ExampleLike | None,
        label: str | None,
        version: int | None,
        timeout: float | None,
        headers: Mapping[str, str] | None,
    ) -> Steps[list[TaskReply]]:
        """Return the steps of a MultiInference."""
        ref = self.policy.model_ref(model, label, version)
        steps = self.request_steps.multi_inference(ref, examples, context, tasks, timeout=timeout)
        return self._recorded(steps, self.policy.begin("multi_inference", ref, None, headers))

    def status(self, model: str, *, version: int | None, timeout: float | None) -> Steps[list[VersionStatus]]:
        """Return the steps of a GetModelStatus; the client's default label and version do not apply."""
        ref = model_ref(model, None, version)
        return self._recorded(self.request_steps.status(ref, timeout=timeout), self.policy.begin("status", ref))

    def metadata(
        self, model: str, *, label: str | None, version: int | None, timeout: float | None
    ) -> Steps[ModelMetadata]:
        """Return the steps of a GetModelMetadata."""
        ref = self.policy.model_ref(model, label, version)
        return self._recorded(self.request_steps.metadata(ref, timeout=timeout), self.policy.begin("metadata", ref))

    def wait_ready(self, model: str, *, label: str | None, version: int | None, timeout: float) -> Steps[int]:
        """Return the steps that ask until the model answers."""
        ref = self.policy.model_ref(model, label, version)
        steps = self.request_steps.wait_ready(ref, timeout=timeout)
        return self._recorded(steps, self.policy.begin("wait_ready", ref))

    def reload(self, config: Any, *, timeout: float | None) -> Steps[None]:
        """Return the steps of a ReloadConfig."""
        return self._recorded(self.request_steps.reload(config, timeout=timeout), self.policy.begin("reload", NO_MODEL))

    def _recorded(self, steps: Steps[T], record: CallRecord, failed: FailedAttempt | None = None) -> Steps[T]:
        """Run the steps in attempts, and close the record with the outcome."""
        try:
            result = yield from self.policy.attempts(steps, record, failed)
        except BaseException as error:
            self.policy.end(record, error=error)
            raise
        self.policy.end(record, result)
        return result


def _checked_names(output_filter: Iterable[str]) -> tuple[str, ...]:
    names = tuple(output_filter) if isinstance(output_filter, Iterable) else (output_filter,)
    if isinstance(output_filter, str) or not all(isinstance(name, str) for name in names):
        raise RequestError(f"not a valid output_filter: {output_filter!r}", hint='give a list of names: ["y"]')
    return names
