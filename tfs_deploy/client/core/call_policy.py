"""How the calls of one client are conducted, without I/O: defaults, headers, attempts, hooks, statistics."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from tfs_deploy.client.call.call_record import CallRecord
from tfs_deploy.client.call.headers import checked_headers
from tfs_deploy.client.call.replies import ModelRef, model_ref
from tfs_deploy.client.call.retries import NEVER, Budget, refused, retry_after
from tfs_deploy.client.call.stats import Statistics
from tfs_deploy.client.call.steps import Call, Pause, Steps
from tfs_deploy.errors import DeadlineExceededError, StatusError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfs_deploy.client.call.steps import Failure
    from tfs_deploy.client.options import Settings

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class Conduct:
    """What the calls of a client share besides the transport."""

    def __init__(self, settings: Settings, transport: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.statistics = Statistics()
        self._transport = transport
        self._clock = clock
        self._headers = checked_headers(settings.headers)
        self._plain = not settings.hooks and settings.token is None
        self._budget = Budget(settings.retries, clock())

    def ref(self, model: str, label: str | None, version: int | None) -> ModelRef:
        """Return whom a call is for: as it says, or else by the client's defaults."""
        if label is None and version is None:
            return model_ref(model, self.settings.label, self.settings.version)
        return model_ref(model, label, version)

    def begin(
        self, method: str, ref: ModelRef, signature: str | None = None, headers: Mapping[str, str] | None = None
    ) -> CallRecord:
        """Open the record of a call and tell the hooks."""
        settings = self.settings
        began = self._clock()
        if headers is None and self._plain:
            return CallRecord(method, ref, signature, self._transport, self._headers, began)
        sent = {**self._headers, **checked_headers(headers or {})}
        if settings.token is not None:
            token = settings.token() if callable(settings.token) else settings.token
            sent["authorization"] = f"Bearer {token}"
        record = CallRecord(method, ref, signature, self._transport, sent, began)
        for hook in settings.hooks:
            _tell(hook.started, record)
        return record

    def end(self, record: CallRecord, result: Any = None, error: BaseException | None = None) -> None:
        """Close the record of a call, count it and tell the hooks."""
        record.seconds = self._clock() - record.began
        if error is not None:
            record.error = error
            record.status = _status(error)
        elif record.version is None:
            version = getattr(result, "version", None)
            record.version = version if isinstance(version, int) else None
        self.statistics.add(record)
        for hook in self.settings.hooks:
            _tell(hook.finished, record)

    def first(self, call: Call, record: CallRecord) -> Call:
        """Count a call that is sent before any steps are taken."""
        self._budget.called()
        return self._sent(call, record)

    def over(self, end: float) -> bool:
        """Whether a moment has passed."""
        return self._clock() >= end

    def attempts(self, steps: Steps[T], record: CallRecord, failure: Failure | None = None) -> Steps[T]:
        """Run the steps of an operation, each of its calls in as many attempts as the settings allow.

        ``failure``: how the first attempt of the first call went, which was made already.
        """
        answer: bytes | None = None
        error: StatusError | None = None
        while True:
            try:
                step = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration as stop:
                result: T = stop.value
                return result
            answer = error = None
            if isinstance(step, Pause):
                yield step
                continue
            fault: StatusError | None = None
            if failure is not None and step.path == failure.call.path:
                first, fault, total, end = failure
                step.tried = first.tried
            else:
                total, end = step.allowed, step.end
                self._budget.called()
                try:
                    answer = yield self._sent(step, record)
                except StatusError as found:
                    fault = found
            failure = None
            if fault is not None:
                try:
                    answer = yield from self._again(step, record, fault, total, end)
                except StatusError as last:
                    error = last
            if answer is not None:
                record.bytes_received += len(answer)

    def _sent(self, call: Call, record: CallRecord) -> Call:
        """Count a request that is sent now."""
        call.record = record
        limit = self.settings.attempt_timeout
        if limit is not None and call.again and call.timeout > limit:
            call.timeout, call.given = limit, 0.0
            call.end = self._clock() + limit
        record.attempts += 1
        if call.body is not None:
            record.bytes_sent += len(call.body)
        return call

    def _again(self, call: Call, record: CallRecord, error: StatusError, total: float, end: float) -> Steps[bytes]:
        """Send a call again after failures that pass, until ``end``."""
        retries = self.settings.retries if call.again else NEVER
        refusals = 0
        for failures in itertools.count(1):
            now = self._clock()
            pause = retry_after(error, failures, end - now, retries, self._budget, now, refusals)
            refusals += refused(error)
            if pause is None:
                raise _final(error, failures, total) from error.__cause__
            if pause:
                yield Pause(pause)
            call.timeout, call.end, call.given = end - self._clock(), end, 0.0
            if call.timeout <= 0:
                raise _final(error, failures, total) from error.__cause__
            try:
                answer: bytes = yield self._sent(call, record)
            except StatusError as fault:
                error = fault
            else:
                return answer
        raise AssertionError("counting has no end")


def _final(error: StatusError, failures: int, total: float) -> StatusError:
    """Say of a call that was late in its last attempt how long all of them took."""
    if failures == 1 or not isinstance(error, DeadlineExceededError):
        return error
    return DeadlineExceededError(
        f"no answer within {total:.3g} s, in {failures} attempts; the last one: {error.message}", hint=error.hint
    )


def _status(error: BaseException) -> str:
    if isinstance(error, StatusError):
        return error.code.name
    cancelled = isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit))
    return "CANCELLED" if cancelled else type(error).__name__


def _tell(hook: Callable[[CallRecord], None], record: CallRecord) -> None:
    try:
        hook(record)
    except Exception:  # noqa: BLE001 - logged with its traceback
        # watching must not fail what is watched
        _LOG.exception("the hook %r failed", hook)
