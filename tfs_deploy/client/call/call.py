# SPDX-License-Identifier: Apache-2.0
"""One request to a server, and a first attempt that failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tfs_deploy.client.call.call_record import CallRecord
    from tfs_deploy.errors import StatusError


@dataclass(slots=True)
class Call:
    """One request to a server.

    Attributes:
        path: the path of the gRPC method or URL.
        body: the bytes to send; ``None`` = an HTTP GET.
        timeout: seconds that this attempt may take.
        end: the ``time.monotonic()`` at which those seconds are over, however long the work before sending took.
        expected_version: the model version that the inputs were checked against, if the request was written from a
            template.
        may_retry: whether the request may be sent a second time.
        record: the record of the client's call that this request is part of.
        failed_servers: with several servers, the numbers of those that did not answer this request.
        server: with several servers, the number of the one being asked now.
        caller_timeout: the seconds that the caller gave, if ``timeout`` is what is left of them.
        turned_away: how often a stopping server turned the request away before it took it.
    """

    path: str
    body: bytes | None
    timeout: float = 0.0
    end: float = 0.0
    expected_version: int | None = None
    may_retry: bool = True
    record: CallRecord | None = None
    failed_servers: tuple[int, ...] = ()
    server: int | None = None
    caller_timeout: float = 0.0
    turned_away: int = 0

    @property
    def message_timeout(self) -> float:
        """Return the seconds to name in a message: those that the caller gave, not what is left of them."""
        return self.caller_timeout or self.timeout

    def begin_again(self) -> None:
        """Count the request as sent once more, to another server: the one before has not taken it."""
        if self.record is not None:
            self.record.attempts += 1
            self.record.bytes_sent += len(self.body) if self.body is not None else 0


class FailedAttempt(NamedTuple):
    """A first attempt that failed before the steps of its request began; the steps take over from here.

    Attributes:
        call: what was sent.
        error: how it failed.
        seconds: seconds that the whole call may take.
        end: the ``time.monotonic()`` at which they are over.
    """

    call: Call
    error: StatusError
    seconds: float
    end: float


def without_retries(call: Call) -> Call:
    """Return the call, marked never to be sent twice: it changes the server, or the caller polls anyway."""
    call.may_retry = False
    return call
