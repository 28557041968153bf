"""Work without I/O: a generator yields what has to be sent, is given the answer, and returns the result.

The same generator is driven by a blocking client and by an asynchronous one, so no decision is written twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from tfs_deploy.errors import StatusError

if TYPE_CHECKING:
    from tfs_deploy.client.plans import Plan
    from tfs_deploy.client.record import CallRecord

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
    """One request: ``path`` of the gRPC method or URL, ``body`` (``None``: an HTTP GET), seconds until the deadline.

    ``again``: whether it may be sent a second time. ``record``: the client's call that it belongs to. ``plan``: how it
    was written, where it is like an earlier one. ``tried``: numbers of the servers that did not answer it, ``server``:
    of the one that is asked now, where there are several.
    """

    path: str
    body: bytes | None
    timeout: float
    again: bool = True
    record: CallRecord | None = None
    plan: Plan | None = None
    tried: tuple[int, ...] = ()
    server: int | None = None


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
    """Run steps to their end: ``perform`` answers calls or raises a ``StatusError``, which the steps may handle."""
    answer: bytes | None = None
    error: StatusError | None = None
    try:
        while True:
            step = steps.send(answer) if error is None else steps.throw(error)
            answer, error = _take(step, perform, sleep)
    except StopIteration as stop:
        result: T = stop.value
        return result


async def drive_async(
    steps: Steps[T], perform: Callable[[Call], Awaitable[bytes]], sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Run steps to their end as ``drive`` does, awaiting the answers."""
    answer: bytes | None = None
    error: StatusError | None = None
    try:
        while True:
            step = steps.send(answer) if error is None else steps.throw(error)
            answer, error = await _take_async(step, perform, sleep)
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        # a cancelled call must not leave its steps waiting
        steps.close()


def _take(
    step: Call | Pause, perform: Callable[[Call], bytes], sleep: Callable[[float], None]
) -> tuple[bytes | None, StatusError | None]:
    if isinstance(step, Pause):
        sleep(step.seconds)
        return None, None
    try:
        return perform(step), None
    except StatusError as error:
        return None, error


async def _take_async(
    step: Call | Pause, perform: Callable[[Call], Awaitable[bytes]], sleep: Callable[[float], Awaitable[None]]
) -> tuple[bytes | None, StatusError | None]:
    if isinstance(step, Pause):
        await sleep(step.seconds)
        return None, None
    try:
        return await perform(step), None
    except StatusError as error:
        return None, error
