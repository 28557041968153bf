# SPDX-License-Identifier: Apache-2.0
"""Signals that ask a process to end: their handlers, and how they wait until a piece of work is done."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import TypeAlias

    Handler: TypeAlias = Callable[[int, FrameType | None], Any]


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that ask a process to end; SIGHUP, of a closed terminal, unless nohup has it ignored."""
    if sys.platform == "win32" or signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        return (signal.SIGINT, signal.SIGTERM)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def handle_ending_signals(handler: Handler) -> dict[signal.Signals, Any]:
    """Give the ending signals a handler, and return those that they had."""
    return {number: signal.signal(number, handler) for number in ending_signals()}


@contextlib.contextmanager
def ending_signals_handled(handler: Handler) -> Iterator[None]:
    """Give the ending signals a handler inside the block."""
    before = handle_ending_signals(handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier or signal.SIG_DFL)


@contextlib.contextmanager
def signals_later() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP that come inside the block take effect at its end."""
    if threading.current_thread() is not threading.main_thread():  # only that one is interrupted
        yield
        return
    came: list[int] = []
    try:
        with ending_signals_handled(lambda number, _frame: came.append(number)):
            yield
    finally:
        if came:
            signal.raise_signal(came[0])
