# SPDX-License-Identifier: Apache-2.0
"""The steps of every request, without I/O: check inputs, keep metadata, read replies, wait until a model is ready."""

from __future__ import annotations

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tfs_deploy.client.call.call import without_retries
from tfs_deploy.client.call.deadline import LONGEST, Deadline
from tfs_deploy.client.call.inference_replies import TaskReply, checked_tasks
from tfs_deploy.client.call.model_ref import ModelRef
from tfs_deploy.client.call.steps import Pause, Steps
from tfs_deploy.client.core.input_check import check_inputs, check_output_filter, find_signature
from tfs_deploy.client.core.readiness import is_final, not_ready_error, ready_version, summary
from tfs_deploy.client.core.request_templates import RequestTemplate, RequestTemplates
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
    from tfs_deploy.client.call.call import Call
    from tfs_deploy.client.call.model_replies import ModelMetadata, VersionStatus
    from tfs_deploy.client.call.predict_request import PredictRequest
    from tfs_deploy.client.core.dialect import Dialect
    from tfs_deploy.codec import PredictReply
    from tfs_deploy.codec.examples import ExampleLike

T = TypeVar("T")

#: seconds: one attempt of wait_ready, the time kept for its last one, and the pauses between attempts
_ATTEMPT: Final = 5.0
_LAST_ATTEMPT: Final = 0.1
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class _KnownMetadata:
    """Metadata as of a moment; ``None`` if the server does not provide it."""

    metadata: ModelMetadata | None
    since: float


class RequestSteps:
    """The requests of a client as steps (see ``call.steps``), with a cache of the metadata seen so far."""

    def __init__(
        self, dialect: Dialect, *, timeout: float, check: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        Deadline(timeout, clock)
        self._dialect = dialect
        self._timeout = timeout
        self._check = check
        self._clock = clock
        self._known: dict[ModelRef, _KnownMetadata] = {}
        self._templates = RequestTemplates()

    def from_template(self, request: PredictRequest) -> Call | None:
        """Return the call for a Predict that is like an earlier one, without steps; ``None`` if it is not.

        ``read_reply`` reads its answer; if it fails, the steps of ``predict`` go on from there.
        """
        seconds = self._timeout if request.timeout is None else request.timeout
        if type(request.inputs) is not dict or type(seconds) not in (float, int) or not 0 < seconds <= LONGEST:
            return None
        return self._templates.write(request, seconds)

    def timeout_of(self, request: PredictRequest) -> float:
        """Return the seconds that a request may take."""
        return self._timeout if request.timeout is None else request.timeout

    def read_reply(self, request: PredictRequest, call: Call, data: bytes) -> PredictReply:
        """Return the reply in the answer to a call of ``from_template``."""
        reply = self._dialect.read_predict(data, request, None)
        expected = call.expected_version
        if expected is not None and reply.version not in (None, expected):
            self._forget(request.ref)
        return reply

    def predict(self, request: PredictRequest) -> Steps[PredictReply]:
        """Check the inputs, send them and return the reply; once more if the model's signatures changed in between."""
        inputs = request.inputs
        if type(inputs) is not dict and not isinstance(inputs, Mapping):
            raise RequestError(
                f"inputs must be a mapping, not {type(inputs).__name__}", hint='give a mapping: {"name": array, ...}'
            )
        for name in inputs:
            if not isinstance(name, str):
                raise RequestError(f"not a valid input name: {name!r}", hint='give text: {"name": array, ...}')
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
        """Send a Classify or Regress and return the reply."""
        deadline = self._deadline(timeout)
        _check_signature_name(signature)
        # an iterator would be exhausted when the request is written a second time
        reusable = _reusable(examples)

        def send(known: _KnownMetadata | None) -> Steps[TaskReply]:
            self._find_signature(known, ref, signature)
            data = yield deadline.limit(self._dialect.inference(method, ref, reusable, context, signature))
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
        """Send a MultiInference and return the replies."""
        deadline = self._deadline(timeout)
        wanted = checked_tasks(tasks)
        reusable = _reusable(examples)

        def send(known: _KnownMetadata | None) -> Steps[list[TaskReply]]:
            call = self._dialect.tasks(ref, reusable, context, wanted)
            for task in wanted:
                self._find_signature(known, ref, task.signature)
            data = yield deadline.limit(call)
            return self._dialect.read_tasks(data)

        return (yield from self._with_metadata(ref, deadline, send, needed=False))

    def _with_metadata(
        self, ref: ModelRef, deadline: Deadline, send: Callable[[_KnownMetadata | None], Steps[T]], *, needed: bool
    ) -> Steps[T]:
        """Run ``send`` with the known metadata and return its result; once more if the signatures changed in between.

        The hint of a NotFoundError names the versions that the server has.
        """
        known: _KnownMetadata | None = None
        first = True
        try:
            if self._check or needed:
                known = self._cached_metadata(ref)
                first = known is None
                if known is None:
                    known = yield from self._fetch_metadata(ref, deadline)
            return (yield from send(known))
        except (RequestError, InvalidArgumentError, FailedPreconditionError, NotFoundError) as error:
            if first or known is None:
                raise (yield from self._with_versions(error, ref, deadline)) from error.__cause__
            failure = error
        # The server may serve a version with other signatures by now.
        self._forget(ref)
        newer = yield from self._fetch_metadata_after(failure, ref, deadline)
        if newer.metadata is None or newer.metadata == known.metadata:
            raise (yield from self._with_versions(failure, ref, deadline))
        try:
            return (yield from send(newer))
        except NotFoundError as error:
            raise (yield from self._with_versions(error, ref, deadline)) from error.__cause__

    def status(self, ref: ModelRef, *, timeout: float | None) -> Steps[list[VersionStatus]]:
        """Return the states of a model's versions, highest version first."""
        data = yield self._deadline(timeout).limit(self._dialect.status(ref))
        return self._dialect.read_status(data)

    def metadata(self, ref: ModelRef, *, timeout: float | None) -> Steps[ModelMetadata]:
        """Return the signatures of a version."""
        deadline = self._deadline(timeout)
        try:
            data = yield deadline.limit(self._dialect.metadata(ref))
        except NotFoundError as error:
            raise (yield from self._with_versions(error, ref, deadline)) from error.__cause__
        metadata = self._dialect.read_metadata(data)
        self._forget(ref)
        self._known[ref] = _KnownMetadata(metadata, self._clock())
        return metadata

    def reload(self, config: Any, *, timeout: float | None) -> Steps[None]:
        """Send the server a new configuration and forget everything known about its models."""
        data = yield self._deadline(timeout).limit(without_retries(self._dialect.reload(config)))
        self._known.clear()
        self._templates.forget()
        self._dialect.read_reload(data)

    def wait_ready(self, ref: ModelRef, *, timeout: float) -> Steps[int]:
        """Ask until the model (or its version, or label) is ready; return the number of the ready version."""
        deadline = self._deadline(timeout)
        pause = _FIRST_PAUSE
        seen: StatusError | list[VersionStatus] = []
        while True:
            left = deadline.remaining()
            ready, now = yield from self._poll(ref, deadline)
            if ready is not None:
                return ready
            # a request cut off by the deadline tells less than the answer before it
            if not seen or left > _ATTEMPT or not isinstance(now, DeadlineExceededError):
                seen = now
            left = deadline.remaining()
            if left <= _LAST_ATTEMPT:
                if left > 0:
                    yield Pause(left)
                raise not_ready_error(ref, deadline.seconds, seen)
            yield Pause(min(pause, left - _LAST_ATTEMPT))
            pause = min(pause * 1.5, _LONGEST_PAUSE)

    def _poll(self, ref: ModelRef, deadline: Deadline) -> Steps[tuple[int | None, StatusError | list[VersionStatus]]]:
        """Ask once; return the ready version, if there is one, and what was seen."""
        try:
            if ref.label is not None:
                data = yield deadline.limit(without_retries(self._dialect.metadata(ref)), _ATTEMPT)
                return self._dialect.read_metadata(data).version, []
            data = yield deadline.limit(without_retries(self._dialect.status(ref)), _ATTEMPT)
        except (UnavailableError, NotFoundError, DeadlineExceededError, InvalidArgumentError) as error:
            if is_final(error, ref):
                raise
            return None, error
        versions = self._dialect.read_status(data)
        return ready_version(versions, ref), versions

    def _send(self, request: PredictRequest, deadline: Deadline, known: _KnownMetadata | None) -> Steps[PredictReply]:
        inputs = request.inputs
        metadata = known.metadata if known is not None else None
        info = self._find_signature(known, request.ref, request.signature)
        if info is not None and self._check:
            inputs = check_inputs(info, inputs)
        # REST has no output filter: the server would not report a wrong name
        if info is not None and (self._check or self._dialect.needs_signature):
            check_output_filter(info, request.output_filter)
        call = self._dialect.predict(request, inputs)
        data = yield deadline.limit(call)
        reply = self._dialect.read_predict(data, request, info)
        version = metadata.version if metadata is not None else None
        if metadata is not None and reply.version is not None and reply.version != version:
            self._forget(request.ref)
        else:
            self._keep_template(request, inputs, call.path, version)
        return reply

    def _keep_template(
        self, request: PredictRequest, checked: Mapping[str, Any], path: str, version: int | None
    ) -> None:
        """Keep a template for requests like this one, if the inputs were sent unchanged."""
        inputs = request.inputs
        if self._dialect.metadata_age != math.inf or any(checked[name] is not inputs[name] for name in inputs):
            return
        frame = self._dialect.frame(request)
        if frame is not None:
            self._templates.keep(RequestTemplate(path, frame, version), request)

    def _forget(self, ref: ModelRef) -> None:
        """Forget what is known about a model: its signatures may have changed."""
        self._known.pop(ref, None)
        self._templates.forget()

    def _find_signature(
        self, known: _KnownMetadata | None, ref: ModelRef, signature: str | None
    ) -> SignatureInfo | None:
        """Return a signature if the metadata is known; ``RequestError`` if it has none of that name."""
        if known is None or known.metadata is None:
            return None
        name = signature or DEFAULT_SIGNATURE
        # this runs for every call: the text for the error is only made if needed
        found = known.metadata.signatures.get(name)
        return found if found is not None else find_signature(known.metadata.signatures, name, str(ref))

    def _cached_metadata(self, ref: ModelRef) -> _KnownMetadata | None:
        """Return the known metadata of a model, unless it is too old."""
        known = self._known.get(ref)
        if known is None or ref.version is not None or self._dialect.metadata_age == math.inf:
            return known
        return known if self._clock() - known.since < self._dialect.metadata_age else None

    def _fetch_metadata(self, ref: ModelRef, deadline: Deadline) -> Steps[_KnownMetadata]:
        """Return fresh metadata; ``None`` as its metadata if the server has no such method and no request needs it."""
        try:
            data = yield deadline.limit(self._dialect.metadata(ref))
        except UnimplementedError:
            if self._dialect.needs_signature:
                raise
            known = _KnownMetadata(None, self._clock())
        else:
            known = _KnownMetadata(self._dialect.read_metadata(data), self._clock())
        self._forget(ref)
        self._known[ref] = known
        return known

    def _fetch_metadata_after(self, error: TfsDeployError, ref: ModelRef, deadline: Deadline) -> Steps[_KnownMetadata]:
        """Return fresh metadata after an error; if that fails, report the first error."""
        try:
            return (yield from self._fetch_metadata(ref, deadline))
        except StatusError:
            raise (yield from self._with_versions(error, ref, deadline)) from None

    def _with_versions(self, error: TfsDeployError, ref: ModelRef, deadline: Deadline) -> Steps[TfsDeployError]:
        """Return the error to raise; the hint for a version that was not found names the existing versions."""
        if not isinstance(error, NotFoundError) or ref.label is not None or deadline.remaining() <= 0:
            return error
        try:
            data = yield deadline.limit(self._dialect.status(ModelRef(ref.name)))
            versions = self._dialect.read_status(data)
        except StatusError:
            return error
        return NotFoundError(error.message, hint=f"the server has these versions of {ref.name}: {summary(versions)}")

    def _deadline(self, timeout: float | None, since: float | None = None) -> Deadline:
        return Deadline(self._timeout if timeout is None else timeout, self._clock, since)


def _check_signature_name(name: object) -> None:
    if name is not None and not isinstance(name, str):
        raise RequestError(f"not a valid signature name: {name!r}", hint="give its name as text")


def _reusable(examples: Any) -> Any:
    return list(examples) if isinstance(examples, Iterator) else examples
