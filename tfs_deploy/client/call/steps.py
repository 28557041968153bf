# SPDX-License-Identifier: Apache-2.0
"""Work without I/O: a generator yields what to send, receives the answer, and returns the result.

The blocking and the asynchronous clients drive the same generator, so every decision is written once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from tfs_deploy.client.call.call import Call

T = TypeVar("T")


@dataclass(slots=True)
class Pause:
    """A time to wait, in seconds."""

    seconds: float


#: a generator receives the bytes of the answer to a ``Call``, and ``None`` after a ``Pause``
Steps: TypeAlias = Generator[Call | Pause, Any, T]


def drive(steps: Steps[T], perform: Callable[[Call], bytes], sleep: Callable[[float], None]) -> T:
    """Run steps to their end and return the result.

    ``perform`` answers calls; an exception that it raises is thrown into the steps, which may handle it.
    """
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
            except BaseException as raised:  # noqa: BLE001 - the steps decide
                error = raised
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
            except BaseException as raised:  # noqa: BLE001 - the steps decide
                error = raised
    except StopIteration as stop:
        result: T = stop.value
        return result
