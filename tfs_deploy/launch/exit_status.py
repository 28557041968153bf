# SPDX-License-Identifier: Apache-2.0
"""The exit status of a server process, and what it means."""

from __future__ import annotations

import signal
from typing import Final

#: 255 is the server's own error exit; the embedded server exits with 2 for usage and 3 for the environment
_MEANINGS: Final = {
    2: "invalid flags, configuration or model",
    3: "something on this machine keeps it from starting",
    126: "the program cannot be run",
    127: "the program was not found",
    132: "illegal instruction: this build needs a newer processor",
    134: "it aborted",
    137: "killed, often because memory ran out",
    139: "it crashed",
    143: "stopped on request",
    255: "it refused its configuration, or a model did not load",
}


def exit_status(wait_status: int) -> int:
    """Return the exit code of a wait status, 128 + N for a process ended by signal N, as shells write it."""
    if wait_status & 0x7F:
        return 128 + (wait_status & 0x7F)
    return wait_status >> 8


def describe_exit(code: int | None) -> str:
    """Return an exit code with its meaning: ``exit code 132 (illegal instruction: ...)``."""
    if code is None:
        return "exit code unknown"
    meaning = _MEANINGS.get(code)
    if meaning is None and code > 128:
        try:
            meaning = f"ended by {signal.Signals(code - 128).name}"
        except ValueError:
            meaning = None
    return f"exit code {code}" + (f" ({meaning})" if meaning else "")
