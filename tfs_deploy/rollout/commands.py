"""Running somebody's command: JSON on its standard input, a limit on its time, nothing of it left afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended: exit code (negative: the signal that ended it) and what it printed."""

    code: int
    output: str
    errors: str

    @property
    def said(self) -> str:
        """The last line that it printed, on standard error first."""
        return last_line(self.errors) or last_line(self.output)


def words(command: str) -> list[str]:
    """Take a command line apart as a shell does, without running one; raises ``UsageError``."""
    try:
        found = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"the command {command!r} cannot be taken apart: {error}") from None
    if not found:
        raise UsageError("the command is empty")
    return found


def run_command(
    arguments: Sequence[str], facts: Mapping[str, Any], *, timeout: float, environment: Mapping[str, str] | None = None
) -> Done:
    """Run a command to its end; raises ``UnavailableError`` if it cannot be started or takes too long.

    It runs in a session of its own, so that on a timeout whatever it has started is killed as well.
    """
    try:
        process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    except OSError as error:
        raise UnavailableError(f"{arguments[0]} cannot be run: {error.strerror}") from error
    try:
        output, errors = process.communicate(json.dumps(facts, default=str), timeout=timeout)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise UnavailableError(f"{arguments[0]} has not ended within {timeout:g} s") from None
        raise
    return Done(process.returncode, output, errors)


def last_line(text: str) -> str:
    """Return the last line with something on it, at most 300 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
