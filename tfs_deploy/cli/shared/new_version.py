# SPDX-License-Identifier: Apache-2.0
"""What commands share that write a version directory: the number it gets, and the warnings of writing it."""

from __future__ import annotations

import contextlib
import logging
import re
from typing import TYPE_CHECKING

from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.cli.shared.output import Output

_NUMBER = re.compile(r"[0-9]+")


def parse_version(text: str | None) -> int | str | None:
    """Return the number that ``--version`` asks for, ``timestamp``, or ``None``."""
    if text is None or text == "timestamp":
        return text
    if _NUMBER.fullmatch(text) is None:
        raise UsageError(f"not a valid --version: {text}", hint="give a number, or timestamp")
    return int(text)


@contextlib.contextmanager
def warnings_on(output: Output) -> Iterator[None]:
    """Print what the exporter logs as warnings of the command."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            output.warn(record.getMessage())

    logger, handler = logging.getLogger("tfs_deploy.export"), Handler(logging.WARNING)
    logger.addHandler(handler)
    # TensorFlow's packages give the root logger a handler of their own.
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
