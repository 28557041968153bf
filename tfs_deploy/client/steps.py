"""Work without I/O: a generator yields what has to be sent, is given the answer, and returns the result.

The same generator is driven by a blocking client and by an asynchronous one, so no decision is written twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from tfs_deploy.errors import StatusError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """One request: ``path`` of the gRPC method or URL, ``body`` (``None``: an HTTP GET), seconds until the deadline."""

    path: str
    body: bytes | None
    timeout: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Time to wait in seconds."""

    seconds: float


Steps: TypeAlias = Generator["Call | Pause", bytes, T]


def drive(steps: Steps[T], perform: Callable[[Call], bytes], sleep: Callable[[float], None]) -> T:
    """Run steps to their end: ``perform`` answers calls or raises a ``StatusError``, which the steps may handle."""
    answer: bytes | StatusError | None = None
    try:
        while True:
            step = resume(steps, answer)
            if isinstance(step, Call):
                answer = _answer(perform, step)
            else:
                sleep(step.seconds)
                answer = b""
    except StopIteration as stop:
        result: T = stop.value
        return result


async def drive_async(
    steps: Steps[T], perform: Callable[[Call], Awaitable[bytes]], sleep: Callable[[float], Awaitable[None]]
) -> T:
    """Run steps to their end as ``drive`` does, awaiting the answers."""
    answer: bytes | StatusError | None = None
    try:
        while True:
            step = resume(steps, answer)
            if isinstance(step, Call):
                answer = await _answer_async(perform, step)
            else:
                await sleep(step.seconds)
                answer = b""
    except StopIteration as stop:
        result: T = stop.value
        return result
    finally:
        # a cancelled call must not leave its steps waiting
        steps.close()


def resume(steps: Steps[T], answer: bytes | StatusError | None) -> Call | Pause:
    """Give steps the answer to what they yielded last (``None`` to start them) and return what they yield next."""
    if isinstance(answer, StatusError):
        return steps.throw(answer)
    return next(steps) if answer is None else steps.send(answer)


def _answer(perform: Callable[[Call], bytes], call: Call) -> bytes | StatusError:
    try:
        return perform(call)
    except StatusError as error:
        return error


async def _answer_async(perform: Callable[[Call], Awaitable[bytes]], call: Call) -> bytes | StatusError:
    try:
        return await perform(call)
    except StatusError as error:
        return error
