# SPDX-License-Identifier: Apache-2.0
"""The policy of a client's calls, without I/O: defaults, headers, attempts and retries, hooks, statistics."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from tfs_deploy.client.call.call_record import CallRecord
from tfs_deploy.client.call.headers import checked_headers
from tfs_deploy.client.call.model_ref import ModelRef, model_ref
from tfs_deploy.client.call.retries import NO_RETRIES, RetryBudget, is_refusal, retry_after
from tfs_deploy.client.call.stats import Statistics
from tfs_deploy.client.call.steps import Pause, Steps
from tfs_deploy.errors import DeadlineExceededError, StatusError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfs_deploy.client.call.call import Call, FailedAttempt
    from tfs_deploy.client.options import Settings

T = TypeVar("T")
_LOG = logging.getLogger(__name__)


class CallPolicy:
    """What all calls of a client share, except the transport."""

    def __init__(self, settings: Settings, transport: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.settings = settings
        self.statistics = Statistics()
        self._transport = transport
        self._clock = clock
        self._headers = checked_headers(settings.headers)
        self._plain = not settings.hooks and settings.token is None
        self._budget = RetryBudget(settings.retries, clock())

    def model_ref(self, model: str, label: str | None, version: int | None) -> ModelRef:
        """Return the servable of a call; the client's default label and version apply if the call has neither."""
        if label is None and version is None:
            return model_ref(model, self.settings.label, self.settings.version)
        return model_ref(model, label, version)

    def begin(
        self, method: str, ref: ModelRef, signature: str | None = None, headers: Mapping[str, str] | None = None
    ) -> CallRecord:
        """Open the record of a call and notify the hooks."""
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
            _notify(hook.started, record)
        return record

    def end(self, record: CallRecord, result: Any = None, error: BaseException | None = None) -> None:
        """Close the record of a call, count it and notify the hooks."""
        record.seconds = self._clock() - record.began
        if error is not None:
            record.error = error
            record.status = _status(error)
        elif record.version is None:
            version = getattr(result, "version", None)
            record.version = version if isinstance(version, int) else None
        self.statistics.add(record)
        for hook in self.settings.hooks:
            _notify(hook.finished, record)

    def begin_first_attempt(self, call: Call, record: CallRecord) -> None:
        """Count a first attempt that the client sends without steps."""
        self._budget.earn()
        self._begin_attempt(call, record)

    def has_passed(self, end: float) -> bool:
        """Return whether a moment has passed."""
        return self._clock() >= end

    def attempts(self, steps: Steps[T], record: CallRecord, failed: FailedAttempt | None = None) -> Steps[T]:
        """Run the steps of a request, each of its calls in as many attempts as the settings allow.

        ``failed`` is the first attempt of the first call, if it was made already.
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
            last: StatusError | None = None
            if failed is not None and step.path == failed.call.path:
                first, last, seconds, end = failed
                step.failed_servers = first.failed_servers
            else:
                seconds, end = step.message_timeout, step.end
                self._budget.earn()
                try:
                    answer = yield self._begin_attempt(step, record)
                except StatusError as raised:
                    last = raised
            failed = None
            if last is not None:
                try:
                    answer = yield from self._retry(step, record, last, seconds, end)
                except StatusError as raised:
                    error = raised
            if answer is not None:
                record.bytes_received += len(answer)

    def _begin_attempt(self, call: Call, record: CallRecord) -> Call:
        """Return the call, limited to the time of one attempt and counted as sent."""
        call.record = record
        limit = self.settings.attempt_timeout
        if limit is not None and call.may_retry and call.timeout > limit:
            call.timeout, call.caller_timeout = limit, 0.0
            call.end = self._clock() + limit
        record.attempts += 1
        if call.body is not None:
            record.bytes_sent += len(call.body)
        return call

    def _retry(self, call: Call, record: CallRecord, error: StatusError, seconds: float, end: float) -> Steps[bytes]:
        """Send a call again after transient failures, until ``end``; return the answer."""
        answered: StatusError | None = None
        retries = self.settings.retries if call.may_retry else NO_RETRIES
        refusals = 0
        for failures in itertools.count(1):
            now = self._clock()
            answered = answered or (error if error.reached else None)
            pause = retry_after(
                error,
                failures=failures,
                refusals=refusals,
                left=end - now,
                retries=retries,
                budget=self._budget,
                now=now,
            )
            refusals += is_refusal(error)
            if pause is None:
                raise _final_error(error, answered, failures, seconds) from error.__cause__
            if pause:
                yield Pause(pause)
            call.timeout, call.end, call.caller_timeout = end - self._clock(), end, 0.0
            if call.timeout <= 0:
                raise _final_error(error, answered, failures, seconds) from error.__cause__
            try:
                answer: bytes = yield self._begin_attempt(call, record)
            except StatusError as raised:
                error = raised
            else:
                return answer
        raise AssertionError("unreachable: itertools.count never ends")


def _final_error(error: StatusError, answered: StatusError | None, failures: int, seconds: float) -> StatusError:
    """Return the error to raise after the last attempt.

    One for a late attempt names the time that all attempts took together. ``answered``, the first error that a server
    answered, says more than what came of the attempts after it.
    """
    if failures == 1 or not isinstance(error, (DeadlineExceededError, UnavailableError)):
        return error
    message, hint = error.message, error.hint
    if isinstance(error, DeadlineExceededError) and not error.reached:
        message = f"no answer within {seconds:.3g} s, in {failures} attempts; the last one: {message}"
    if answered is not None and answered.message != error.message:
        message, hint = f"{answered.message}; after that: {message}", answered.hint or hint
    if message == error.message:
        return error
    return type(error)(message, hint=hint, retriable=error.retriable, reached=error.reached)


def _status(error: BaseException) -> str:
    if isinstance(error, StatusError):
        return error.code.name
    cancelled = isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, GeneratorExit))
    return "CANCELLED" if cancelled else type(error).__name__


def _notify(hook: Callable[[CallRecord], None], record: CallRecord) -> None:
    try:
        hook(record)
    except Exception:  # noqa: BLE001 - logged with its traceback
        # observing a call must not fail it
        _LOG.exception("the hook %r failed", hook)
