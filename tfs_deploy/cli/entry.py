"""The console script: says what to install when the ``cli`` extra is missing, and turns errors into exit codes."""

from __future__ import annotations

import io
import signal
import sys
from typing import TYPE_CHECKING

from tfs_deploy.errors import MissingExtraError

if TYPE_CHECKING:
    from types import FrameType


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Run ``tfs-deploy`` with ``arguments`` (default: those of the process) and return its exit code."""
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
    # A termination request takes the same way out as Ctrl-C, so that everything started is stopped.
    signal.signal(signal.SIGTERM, _terminate)
    return run(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
