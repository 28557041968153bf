"""What every client does, without I/O: checks inputs, keeps metadata, reads replies, waits for readiness."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tfs_deploy.client.call.deadline import LONGEST, Deadline
from tfs_deploy.client.call.example_replies import TaskReply, checked_tasks
from tfs_deploy.client.call.replies import ModelRef
from tfs_deploy.client.call.request_plans import Plan, Plans
from tfs_deploy.client.call.steps import Pause, Steps, once
from tfs_deploy.client.core.input_check import check_inputs, check_output_filter, find_signature
from tfs_deploy.client.core.readiness import is_final, judge, not_ready, summary
from tfs_deploy.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    RequestError,
    StatusError,
    TfsDeployError,
    UnavailableError,
    UnimplementedError,
)
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE, SignatureInfo

if TYPE_CHECKING:
    from tfs_deploy.client.call.replies import ModelMetadata, VersionStatus
    from tfs_deploy.client.call.request import PredictRequest
    from tfs_deploy.client.call.steps import Call
    from tfs_deploy.client.core.dialect import Dialect
    from tfs_deploy.codec import PredictReply
    from tfs_deploy.codec.examples import ExampleLike

T = TypeVar("T")

#: seconds: one attempt of wait_ready, what is kept for the last one, and the pauses between attempts
_ATTEMPT: Final = 5.0
_LAST_LOOK: Final = 0.1
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class _Known:
    """Metadata as of a moment; ``None`` where the server does not hand it out."""

    metadata: ModelMetadata | None
    since: float


class Core:
    """The operations of a client as steps (see ``steps``); keeps the metadata it has seen."""

    def __init__(
        self, dialect: Dialect, *, timeout: float, check: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        Deadline(timeout, clock)
        self._dialect = dialect
        self._timeout = timeout
        self._check = check
        self._clock = clock
        self._known: dict[ModelRef, _Known] = {}
        self._plans = Plans()

    def ready(self, request: PredictRequest) -> Call | None:
        """Return the call of a Predict that is like an earlier one, without steps; ``None`` if it is not.

        Its answer is for ``read_ready``; if it fails, the steps of ``predict`` know what to do.
        """
        seconds = self.seconds(request)
        if type(request.inputs) is not dict or type(seconds) not in (float, int) or not 0 < seconds <= LONGEST:
            return None
        return self._plans.write(request, seconds)

    def seconds(self, request: PredictRequest) -> float:
        """Return the seconds that a request has."""
        return self._timeout if request.timeout is None else request.timeout

    def read_ready(self, request: PredictRequest, call: Call, data: bytes) -> PredictReply:
        """Read the answer to a call of ``ready``."""
        reply = self._dialect.read_predict(data, request, None)
        plan = call.plan
        if plan is not None and plan.version is not None and reply.version not in (None, plan.version):
            self._forget(request.ref)
        return reply

    def predict(self, request: PredictRequest) -> Steps[PredictReply]:
        """Check the inputs, send them, read the reply; once more if the model's signatures have changed meanwhile."""
        inputs = request.inputs
        if type(inputs) is not dict and not isinstance(inputs, Mapping):
            raise RequestError(
                f"inputs are of type {type(inputs).__name__}", hint='give a mapping: {"name": array, ...}'
            )
        for name in inputs:
            if not isinstance(name, str):
                raise RequestError(f"the name of an input is {name!r}", hint='give text: {"name": array, ...}')
        _check_signature_name(request.signature)
        deadline = self._deadline(request.timeout, request.record.began)
        send = functools.partial(self._send, request, deadline)
        return (yield from self._with_metadata(request.ref, deadline, send, needed=self._dialect.needs_signature))

    def inference(
        self,
        method: str,
        ref: ModelRef,
        examples: Iterable[ExampleLike],
        context: ExampleLike | None,
        *,
        signature: str | None,
        timeout: float | None,
    ) -> Steps[TaskReply]:
        """Send a Classify or Regress, read the reply."""
        deadline = self._deadline(timeout)
        _check_signature_name(signature)
        # an iterator would be used up when the request is written a second time
        listed = _listed(examples)

        def send(known: _Known | None) -> Steps[TaskReply]:
            self._find(known, ref, signature)
            data = yield deadline.limit(self._dialect.inference(method, ref, listed, context, signature))
            return self._dialect.read_inference(method, data, ref, signature)

        return (yield from self._with_metadata(ref, deadline, send, needed=False))

    def multi_inference(
        self,
        ref: ModelRef,
        examples: Iterable[ExampleLike],
        context: ExampleLike | None,
        tasks: Sequence[Any],
        *,
        timeout: float | None,
    ) -> Steps[list[TaskReply]]:
        """Send a MultiInference, read the reply."""
        deadline = self._deadline(timeout)
        wanted = checked_tasks(tasks)
        listed = _listed(examples)

        def send(known: _Known | None) -> Steps[list[TaskReply]]:
            call = self._dialect.tasks(ref, listed, context, wanted)
            for task in wanted:
                self._find(known, ref, task.signature)
            data = yield deadline.limit(call)
            return self._dialect.read_tasks(data)

        return (yield from self._with_metadata(ref, deadline, send, needed=False))

    def _with_metadata(
        self, ref: ModelRef, deadline: Deadline, send: Callable[[_Known | None], Steps[T]], *, needed: bool
    ) -> Steps[T]:
        """Do ``send`` with what is known of the model; once more if its signatures have changed meanwhile.

        Of a model that was not found it is said which versions there are.
        """
        known: _Known | None = None
        first = True
        try:
            if self._check or needed:
                known = self._believed(ref)
                first = known is None
                if known is None:
                    known = yield from self._learn(ref, deadline)
            return (yield from send(known))
        except (RequestError, InvalidArgumentError, FailedPreconditionError, NotFoundError) as error:
            if first or known is None:
                raise (yield from self._explain(error, ref, deadline)) from error.__cause__
            failure = error
        # The server may have moved on to a version with other signatures since we asked.
        self._forget(ref)
        newer = yield from self._learn_after(failure, ref, deadline)
        if newer.metadata is None or newer.metadata == known.metadata:
            raise (yield from self._explain(failure, ref, deadline))
        try:
            return (yield from send(newer))
        except NotFoundError as error:
            raise (yield from self._explain(error, ref, deadline)) from error.__cause__

    def status(self, ref: ModelRef, *, timeout: float | None) -> Steps[list[VersionStatus]]:
        """Ask for the states of a model's versions, highest version first."""
        data = yield self._deadline(timeout).limit(self._dialect.status(ref))
        return self._dialect.read_status(data)

    def metadata(self, ref: ModelRef, *, timeout: float | None) -> Steps[ModelMetadata]:
        """Ask for the signatures of a version."""
        deadline = self._deadline(timeout)
        try:
            data = yield deadline.limit(self._dialect.metadata(ref))
        except NotFoundError as error:
            raise (yield from self._explain(error, ref, deadline)) from error.__cause__
        metadata = self._dialect.read_metadata(data)
        self._forget(ref)
        self._known[ref] = _Known(metadata, self._clock())
        return metadata

    def reload(self, config: Any, *, timeout: float | None) -> Steps[None]:
        """Give the server a new configuration and forget what was known of its models."""
        data = yield self._deadline(timeout).limit(once(self._dialect.reload(config)))
        self._known.clear()
        self._plans.forget()
        self._dialect.read_reload(data)

    def wait_ready(self, ref: ModelRef, *, timeout: float) -> Steps[int]:
        """Ask until the model (or its version, or label) answers; return the number of the ready version."""
        deadline = self._deadline(timeout)
        pause = _FIRST_PAUSE
        seen: StatusError | list[VersionStatus] = []
        while True:
            left = deadline.remaining()
            ready, now = yield from self._look(ref, deadline)
            if ready is not None:
                return ready
            # an answer that only the end of all waiting cut off says less than what was seen before
            if not seen or left > 2 * _LAST_LOOK or not isinstance(now, DeadlineExceededError):
                seen = now
            left = deadline.remaining()
            if left <= _LAST_LOOK:
                if left > 0:
                    yield Pause(left)
                raise not_ready(ref, deadline.seconds, seen)
            yield Pause(min(pause, left - _LAST_LOOK))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _look(self, ref: ModelRef, deadline: Deadline) -> Steps[tuple[int | None, StatusError | list[VersionStatus]]]:
        """Look once: the ready version, if there is one, and what was seen."""
        try:
            if ref.label is not None:
                data = yield deadline.limit(once(self._dialect.metadata(ref)), _ATTEMPT)
                return self._dialect.read_metadata(data).version, []
            data = yield deadline.limit(once(self._dialect.status(ref)), _ATTEMPT)
        except (UnavailableError, NotFoundError, DeadlineExceededError, InvalidArgumentError) as error:
            if is_final(error, ref):
                raise
            return None, error
        versions = self._dialect.read_status(data)
        return judge(versions, ref), versions

    def _send(self, request: PredictRequest, deadline: Deadline, known: _Known | None) -> Steps[PredictReply]:
        inputs = request.inputs
        metadata = known.metadata if known is not None else None
        info = self._find(known, request.ref, request.signature)
        if info is not None and self._check:
            inputs = check_inputs(info, inputs)
        # where the server does not see the filter, nobody else would say so
        if info is not None and (self._check or self._dialect.needs_signature):
            check_output_filter(info, request.output_filter)
        call = self._dialect.predict(request, inputs)
        data = yield deadline.limit(call)
        reply = self._dialect.read_predict(data, request, info)
        version = metadata.version if metadata is not None else None
        if metadata is not None and reply.version is not None and reply.version != version:
            self._forget(request.ref)
        else:
            self._plan(request, inputs, call.path, version)
        return reply

    def _plan(self, request: PredictRequest, checked: Mapping[str, Any], path: str, version: int | None) -> None:
        """Keep what the next request like this one needs, if it was sent as it came in."""
        inputs = request.inputs
        if self._dialect.metadata_age != math.inf or any(checked[name] is not inputs[name] for name in inputs):
            return
        frame = self._dialect.frame(request)
        if frame is not None:
            self._plans.keep(Plan(path, frame, version), request)

    def _forget(self, ref: ModelRef) -> None:
        """Forget what was known of a model: its signatures may have changed."""
        self._known.pop(ref, None)
        self._plans.forget()

    def _find(self, known: _Known | None, ref: ModelRef, signature: str | None) -> SignatureInfo | None:
        """Look a signature up, where the metadata is known; ``RequestError`` if there is none of that name."""
        if known is None or known.metadata is None:
            return None
        name = signature or DEFAULT_SIGNATURE
        # the text is only made where it is needed: this is run for every call
        found = known.metadata.signatures.get(name)
        return found if found is not None else find_signature(known.metadata.signatures, name, str(ref))

    def _believed(self, ref: ModelRef) -> _Known | None:
        known = self._known.get(ref)
        if known is None or ref.version is not None or self._dialect.metadata_age == math.inf:
            return known
        return known if self._clock() - known.since < self._dialect.metadata_age else None

    def _learn(self, ref: ModelRef, deadline: Deadline) -> Steps[_Known]:
        """Fetch the metadata; a server that has no such method is believed without."""
        try:
            data = yield deadline.limit(self._dialect.metadata(ref))
        except UnimplementedError:
            if self._dialect.needs_signature:
                raise
            known = _Known(None, self._clock())
        else:
            known = _Known(self._dialect.read_metadata(data), self._clock())
        self._forget(ref)
        self._known[ref] = known
        return known

    def _learn_after(self, error: TfsDeployError, ref: ModelRef, deadline: Deadline) -> Steps[_Known]:
        """Fetch the metadata again; if that fails, the first error is the one to report."""
        try:
            return (yield from self._learn(ref, deadline))
        except StatusError:
            raise (yield from self._explain(error, ref, deadline)) from None

    def _explain(self, error: TfsDeployError, ref: ModelRef, deadline: Deadline) -> Steps[TfsDeployError]:
        """Say of a version that was not found which there are, if the model is known at all."""
        if not isinstance(error, NotFoundError) or ref.label is not None or deadline.remaining() <= 0:
            return error
        try:
            data = yield deadline.limit(self._dialect.status(ModelRef(ref.name)))
            versions = self._dialect.read_status(data)
        except StatusError:
            return error
        return NotFoundError(error.message, hint=f"the server has of {ref.name}: {summary(versions)}")

    def _deadline(self, timeout: float | None, since: float | None = None) -> Deadline:
        return Deadline(self._timeout if timeout is None else timeout, self._clock, since)


def _check_signature_name(name: object) -> None:
    if name is not None and not isinstance(name, str):
        raise RequestError(f"the signature is {name!r}", hint="give its name as text")


def _listed(examples: Any) -> Any:
    return list(examples) if isinstance(examples, Iterator) else examples
