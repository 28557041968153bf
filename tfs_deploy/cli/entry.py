# SPDX-License-Identifier: Apache-2.0
"""The console script: says what to install when the ``cli`` extra is missing, and turns errors into exit codes."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from tfs_deploy.errors import MissingExtraError
from tfs_deploy.host.signals import handle_ending_signals

if TYPE_CHECKING:
    from types import FrameType


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run ``tfs-deploy`` with ``arguments`` (default: those of the process) and return its exit code."""
    # A termination request, or a terminal that is closed, takes the same way out as Ctrl-C, so that everything started
    # is stopped; from the first moment, as a command may be asked to end while it is still being imported.
    handle_ending_signals(_terminate)
    try:
        return _run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return 130


def _run(arguments: list[str]) -> int:
    try:
        from tfs_deploy.cli.main import run
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "tfs_deploy":
            raise
        missing = MissingExtraError(error.name, "cli")
        sys.stderr.write(f"error: {missing.message}\n\nhint: {missing.hint}\n")
        return missing.exit_code
    # A terminal with another character set shows ? for characters that it lacks.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return run(arguments)


if __name__ == "__main__":
    sys.exit(main())
