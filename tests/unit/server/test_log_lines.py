# SPDX-License-Identifier: Apache-2.0
"""A line of the server's log is one line, whatever a client sends."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING

from tfs_deploy.server.__main__ import _LineFormatter, _set_up_log
from tfs_deploy.server.process.flags import parse_flags

if TYPE_CHECKING:
    import pytest


def test_a_message_neither_ends_its_line_nor_colours_it() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "model %s", ("\x1b[31mm\nI forged\r",), None)
    assert _LineFormatter("%(levelname).1s %(message)s").format(record) == "I model \\x1b[31mm\\nI forged\\x0d"


def test_a_traceback_keeps_its_lines() -> None:
    try:
        int("bad")
    except ValueError:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "failed", (), sys.exc_info())
    assert _LineFormatter("%(message)s").format(record).count("\n") > 2


def test_grpc_does_not_write_what_clients_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GRPC_VERBOSITY", raising=False)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    _set_up_log(parse_flags([]))
    assert os.environ["GRPC_VERBOSITY"] == "NONE"
    assert not logging.getLogger("grpc._cython.cygrpc").isEnabledFor(logging.ERROR)
