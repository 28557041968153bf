"""Running somebody's command: JSON on its standard input, a limit on its time, nothing of it left afterwards."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
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
        message = f"the command {command!r} cannot be taken apart: {error}"
        raise UsageError(message, hint="quote as for a shell; for pipes and the like: sh -c '...'") from None
    if not found:
        raise UsageError("the command is empty", hint="for example command=./check.sh or before:promote=./check.sh")
    return found


def require_program(command: str, directory: str = "") -> None:
    """Raise ``UsageError`` if a command cannot be run from ``directory``: now, and not when it is needed."""
    name = words(command)[0]
    place = str(Path(directory, name)) if os.sep in name else name
    if "$" not in name and shutil.which(place) is None:
        message = f"{name} cannot be run: it is not there, or not executable"
        raise UsageError(message, hint="give its path from here, or make it executable: chmod +x")


def run_command(
    arguments: Sequence[str],
    facts: Mapping[str, Any],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    directory: str = "",
) -> Done:
    """Run a command to its end, in ``directory`` if that is not empty.

    Raises ``UnavailableError`` if it cannot be started or takes too long.

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
            cwd=directory or None,
        )
    except OSError as error:
        message = f"{arguments[0]} cannot be run: {error.strerror}"
        raise UnavailableError(message, hint="give its whole path, and make it executable") from error
    try:
        output, errors = process.communicate(json.dumps(facts, default=str), timeout=timeout)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            message = f"{arguments[0]} has not ended within {timeout:g} s"
            raise UnavailableError(message, hint="whatever it has started was killed") from None
        raise
    return Done(process.returncode, output, errors)


def last_line(text: str) -> str:
    """Return the last line with something on it, at most 300 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
