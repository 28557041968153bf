# SPDX-License-Identifier: Apache-2.0
"""One server process: started with its output in a log, recognised again by number and start time."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import LaunchError, PlatformError
from tfs_deploy.host.processes import is_running, start_time
from tfs_deploy.launch.exit_status import exit_status

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_POLL: Final = 0.02
_SERVER: Final = "the embedded server"


@dataclass(slots=True)
class Process:
    """A process; ``started`` is its start in clock ticks since boot, since the kernel gives a number out again.

    ``exit_code`` is known once a child of this process has ended.
    """

    pid: int
    started: int
    exit_code: int | None = None

    @classmethod
    def spawn(cls, command: list[str], *, log_path: Path, environment: Mapping[str, str]) -> Process:
        """Start ``command`` in a session of its own, output appended to ``log_path``.

        A session of its own keeps Ctrl-C in the terminal from reaching it: the caller decides when it stops.
        """
        if sys.platform == "win32":
            raise PlatformError(_SERVER)
        log_path.parent.mkdir(parents=True, exist_ok=True)
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log_path), append, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ]
        defaults = [signal.SIGINT, signal.SIGTERM, signal.SIGPIPE, signal.SIGHUP]
        try:
            pid = os.posix_spawn(
                command[0], command, environment, file_actions=actions, setsid=True, setsigmask=[], setsigdef=defaults
            )
        except OSError as error:
            hint = f"log file: {log_path}"
            raise LaunchError(f"{command[0]} cannot be started: {error.strerror}", hint=hint) from error
        return cls(pid, start_time(pid) or 0)

    def alive(self) -> bool:
        """Tell whether the process runs; collects its exit code if it is a child."""
        if self.exit_code is not None:
            return False
        if sys.platform == "win32":
            raise PlatformError(_SERVER)
        with contextlib.suppress(ChildProcessError):
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid == self.pid:
                self.exit_code = exit_status(status)
                return False
        return is_running(self.pid, self.started)

    def stop(self, timeout: float) -> bool:
        """Ask the process to stop, kill it after ``timeout`` seconds; return whether it stopped by itself."""
        if not self.alive():
            return True
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        if self._wait(timeout):
            return True
        if sys.platform != "win32":
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
        self._wait(timeout)
        return False

    def _wait(self, timeout: float) -> bool:
        end = time.monotonic() + timeout
        while self.alive():
            if time.monotonic() > end:
                return False
            time.sleep(_POLL)
        return True
