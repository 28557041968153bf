"""Work without I/O: a generator yields what has to be sent, is given the answer, and returns the result.

The same generator is driven by a blocking client and by an asynchronous one, so no decision is written twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    from tfs_deploy.client.call.call_record import CallRecord
    from tfs_deploy.client.call.request_plans import Plan
    from tfs_deploy.errors import StatusError

T = TypeVar("T")


class Failure(NamedTuple):
    """A first attempt that failed before the steps of its operation began.

    ``total``: seconds that the whole call has; ``end``: when they are over.
    """

    call: Call
    error: StatusError
    total: float
    end: float


@dataclass(slots=True)
class Call:
    """One request: ``path`` of the gRPC method or URL, ``body`` (``None``: an HTTP GET).

    ``timeout``: the seconds that it has; ``end``: the moment of ``time.monotonic`` at which they are over, however long
    anything before the sending took. ``again``: whether it may be sent a second time. ``record``: the client's call
    that it belongs to. ``plan``: how it was written, where it is like an earlier one. ``tried``: numbers of the servers
    that did not answer it, ``server``: of the one that is asked now, where there are several. ``given``: the seconds
    that the caller gave, where ``timeout`` is what was left of them.
    """

    path: str
    body: bytes | None
    timeout: float = 0.0
    end: float = 0.0
    plan: Plan | None = None
    again: bool = True
    record: CallRecord | None = None
    tried: tuple[int, ...] = ()
    server: int | None = None
    given: float = 0.0

    @property
    def allowed(self) -> float:
        """Return the seconds that a message names: those of the caller, whatever was left of them."""
        return self.given or self.timeout


def once(call: Call) -> Call:
    """Mark a call as one that is not sent a second time: it changes something, or its sender looks again anyway."""
    call.again = False
    return call


@dataclass(slots=True)
class Pause:
    """Time to wait in seconds."""

    seconds: float


#: what is sent in is the answer's bytes, and ``None`` after a pause
Steps: TypeAlias = Generator["Call | Pause", Any, T]


def drive(steps: Steps[T], perform: Callable[[Call], bytes], sleep: Callable[[float], None]) -> T:
    """Run steps to their end: ``perform`` answers calls; what it raises is raised in the steps, which may handle it."""
    answer: bytes | None = None
    error: BaseException | None = None
    try:
        while True:
            step = steps.send(answer) if error is None else steps.throw(error)
            answer = error = None
            try:
                if isinstance(step, Pause):
                    sleep(step.seconds)
                else:
                    answer = perform(step)
            except BaseException as found:  # noqa: BLE001 - the steps decide
                error = found
    except StopIteration as stop:
        result: T = stop.value
        return result


async def drive_async(
    steps: Steps[T], perform: Callable[[Call], Awaitable[bytes]], sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Run steps to their end as ``drive`` does, awaiting the answers."""
    answer: bytes | None = None
    error: BaseException | None = None
    try:
        while True:
            step = steps.send(answer) if error is None else steps.throw(error)
            answer = error = None
            try:
                if isinstance(step, Pause):
                    await sleep(step.seconds)
                else:
                    answer = await perform(step)
            except BaseException as found:  # noqa: BLE001 - the steps decide
                error = found
    except StopIteration as stop:
        result: T = stop.value
        return result
