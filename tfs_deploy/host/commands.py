# SPDX-License-Identifier: Apache-2.0
"""Commands of a user, run with JSON on their standard input and a limit on their time; no process of theirs is left."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import PlatformError, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_log = logging.getLogger(__name__)

_COMMAND: Final = "a command of a gate or a hook"
#: bytes of standard output, and of standard error, that a command may print
_MOST: Final = 8 << 20
#: seconds for which a command that has ended is listened to: another process may print the rest
_LINGER: Final = 1.0
#: variable by which the processes of one command are found
_MARK: Final = "TFS_DEPLOY_COMMAND"
_ROUNDS: Final = 20


@dataclass(frozen=True, slots=True)
class CommandResult:
    """How a command ended: exit code (negative: the signal that ended it) and what it printed."""

    code: int
    output: str
    errors: str

    @property
    def last_line(self) -> str:
        """The last line that it printed, on standard error first."""
        return _last_line(self.errors) or _last_line(self.output)


def split_command(command: str) -> list[str]:
    """Return the words of a command line as a shell splits it, without running one; raises ``UsageError``."""
    try:
        found = shlex.split(command)
    except ValueError as error:
        message = f"the command {command!r} cannot be split into words: {error}"
        raise UsageError(message, hint="quote as for a shell; for pipes and the like: sh -c '...'") from None
    if not found:
        raise UsageError("the command is empty", hint="for example command=./check.sh or before:promote=./check.sh")
    return found


def require_program(command: str, directory: str = "") -> None:
    """Raise ``UsageError`` if a command cannot be run from ``directory``, before it is needed."""
    name = split_command(command)[0]
    place = str(Path(directory, name)) if os.sep in name else name
    if "$" not in name and shutil.which(place) is None:
        message = f"{name} cannot be run: it does not exist, or is not executable"
        raise UsageError(message, hint="give its path from here, or make it executable: chmod +x")


def run_command(
    arguments: Sequence[str],
    facts: Mapping[str, Any],
    *,
    timeout: float,
    environment: Mapping[str, str] | None = None,
    directory: str = "",
) -> CommandResult:
    """Run a command to its end, in ``directory`` if that is not empty; return how it ended.

    Raises ``UnavailableError`` if it cannot be started or takes too long.

    What it has started is killed with it on a timeout, and once it has ended where it still holds its output: the
    processes of its session, and those that have left it but have its mark in their environment. What it leaves running
    on purpose, with its output elsewhere, stays.
    """
    if sys.platform != "linux":
        raise PlatformError(_COMMAND)
    mark = f"{os.getpid()}.{secrets.token_hex(8)}"
    try:
        process = subprocess.Popen(
            list(arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env={**os.environ, **(environment or {}), _MARK: mark},
            cwd=directory or None,
        )
    except (OSError, ValueError) as error:  # ValueError: a null byte in an argument
        message = f"{arguments[0]} cannot be run: {getattr(error, 'strerror', None) or error}"
        raise UnavailableError(message, hint="give its whole path, and make it executable") from error
    output, errors = _Reader(process, process.stdout), _Reader(process, process.stderr)
    threading.Thread(target=_feed, args=(process, json.dumps(facts, default=str).encode()), daemon=True).start()
    end, ended, closed = time.monotonic() + timeout, False, False
    try:
        # still to be waited for, so that its number, that of its session, is given to no other process meanwhile
        ended = _ends_by(process.pid, end)
        if ended:
            patience = min(end, time.monotonic() + _LINGER)
            closed = output.done(patience) and errors.done(patience)
    finally:
        if not closed:
            _kill(process)
            _kill_marked(f"{_MARK}={mark}".encode())
        process.wait()
    if ended and not closed:
        _log.warning("%s left a process behind that held its output, and was killed", arguments[0])
        patience = time.monotonic() + _LINGER
        output.done(patience)
        errors.done(patience)
    if output.too_much or errors.too_much:
        raise UnavailableError(f"{arguments[0]} printed more than {_MOST >> 20} MB", hint="it was killed")
    if not ended:
        message = f"{arguments[0]} did not end within {timeout:g} s"
        raise UnavailableError(message, hint="it was killed, with everything that it had started")
    return CommandResult(process.returncode, output.text, errors.text)


def _ends_by(pid: int, end: float) -> bool:
    """Wait until ``end`` of the monotonic clock for a child to end, without collecting it; return whether it did."""
    if sys.platform != "linux":
        raise PlatformError(_COMMAND)
    delay = 0.001
    with contextlib.suppress(ChildProcessError):  # where SIGCHLD is ignored there is nothing to collect
        while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
            left = end - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(delay, left))
            delay = min(2 * delay, 0.05)
    return True


def _kill_marked(mark: bytes) -> None:
    """Kill the processes with a mark in their environment; again, as long as one has just started another."""
    if sys.platform != "linux":
        raise PlatformError(_COMMAND)
    for _ in range(_ROUNDS):
        found = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and _has(entry, mark)]
        for entry in found:
            with contextlib.suppress(OSError):
                os.kill(int(entry.name), signal.SIGKILL)
        if not found:
            return


def _has(entry: Path, mark: bytes) -> bool:
    try:
        return mark in (entry / "environ").read_bytes().split(b"\0")  # empty for a process that has ended
    except OSError:  # another user's, or gone
        return False


class _Reader:
    """Reads what a process prints, and kills one that prints too much."""

    def __init__(self, process: subprocess.Popen[bytes], stream: Any) -> None:
        self.too_much = False
        self._process, self._stream = process, stream
        self._parts: list[bytes] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        size = 0
        with self._stream:
            while not self.too_much and (part := self._stream.read1(1 << 16)):
                self._parts.append(part)
                size += len(part)
                self.too_much = size > _MOST
        if self.too_much:
            _kill(self._process)

    def done(self, end: float) -> bool:
        """Wait until everything is read, until ``end`` of the monotonic clock at most; return whether it is."""
        self._thread.join(max(0.0, end - time.monotonic()))
        return not self._thread.is_alive()

    @property
    def text(self) -> str:
        return b"".join(self._parts).decode("utf-8", "replace")


def _feed(process: subprocess.Popen[bytes], data: bytes) -> None:
    if process.stdin is not None:
        with contextlib.suppress(OSError), process.stdin:  # it may end without having read
            process.stdin.write(data)


def _kill(process: subprocess.Popen[bytes]) -> None:
    if sys.platform != "linux":
        raise PlatformError(_COMMAND)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def _last_line(text: str) -> str:
    """Return the last line with something on it, at most 300 characters."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
