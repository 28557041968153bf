# SPDX-License-Identifier: Apache-2.0
"""``python -m tfs_deploy.server``: the embedded server, with tensorflow_model_server's flags."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from tfs_deploy import __version__
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.extras import require_extra
from tfs_deploy.host.signals import handle_ending_signals
from tfs_deploy.server.process.flags import ServerFlags, help_text, parse_flags
from tfs_deploy.text import visible, visible_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


def run(arguments: list[str], *, check: Callable[[Any], None] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code. ``check`` may refuse the first ModelServerConfig.

    Raises:
        TfsDeployError: the flags are wrong, or the server did not start.
    """
    flags = parse_flags(arguments)
    if flags.on("version"):
        sys.stdout.write(f"tfs-deploy embedded server {__version__}\n")
        return 0
    for module in ("tensorflow", "uvicorn", "httptools"):
        require_extra(module, "server")
    _set_up_log(flags)
    from tfs_deploy.server.process.server_process import serve

    if check is not None:
        from tfs_deploy.server.process.settings import initial_config

        check(initial_config(flags))
    serve(flags)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run as a program; return the exit code. An error is one line on stderr."""
    given = sys.argv[1:] if arguments is None else arguments
    if "--help" in given or "-h" in given:
        sys.stdout.write(help_text() + "\n")
        return 0
    handle_ending_signals(_end)  # until the server has handlers of its own; there is nothing to drain yet
    try:
        return run(given)
    except TfsDeployError as error:
        hint = f" (hint: {visible(error.hint)})" if error.hint else ""
        sys.stderr.write(f"error: {visible(error.message)}{hint}\n")
        return error.exit_code


def _end(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _set_up_log(flags: ServerFlags) -> None:
    """Log to stderr; --log_level decides, else TF_CPP_MIN_LOG_LEVEL (1: warnings, 2: errors) if it is set."""
    level = flags.text("log_level")
    if "log_level" not in flags.given:
        level = {"1": "warning", "2": "error"}.get(os.environ.get("TF_CPP_MIN_LOG_LEVEL", ""), level)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_LineFormatter("%(asctime)s %(levelname).1s %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
    # gRPC writes what clients send: its core as it came, and Python's part with a traceback if it is not UTF-8
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    logging.getLogger("grpc._cython").setLevel(logging.CRITICAL)


class _LineFormatter(logging.Formatter):
    """Writes each message as one line: what a client sends, such as a model's name, can neither end nor colour it."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name in logging
        record.message = visible_line(record.message)
        return super().formatMessage(record)


if __name__ == "__main__":
    sys.exit(main())
