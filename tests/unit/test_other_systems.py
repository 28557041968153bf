# SPDX-License-Identifier: Apache-2.0
"""Clients work where the names and modules that Windows lacks are missing; what needs Linux says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from support import client_on_windows
from support.windows import lacking
from tfs_deploy.server.testing import function_model, serve_models


def double(x):
    if (x < 0).any():
        raise ValueError("negative")
    return {"y": x * 2}


def test_what_windows_lacks():
    names = {"fork", "getuid", "geteuid", "register_at_fork", "O_NONBLOCK", "pread", "sysconf", "statvfs", "killpg"}
    assert names <= lacking("os")
    assert not {"open", "replace", "getpid", "environ", "fsync", "kill"} & lacking("os")
    assert {"SIGHUP", "SIGKILL"} <= lacking("signal")
    assert "AF_UNIX" in lacking("socket")
    for module in ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog"):
        assert lacking(module)


def test_every_client_works_on_windows(tmp_path):
    model = function_model(double, inputs={"x": "float32"}, outputs={"y": "float32"})
    with serve_models({"double": {1: model, 2: model}}, labels={"double": {"stable": 1}}) as server:
        line = [sys.executable, client_on_windows.__file__, server.grpc_address, server.rest_url, str(tmp_path)]
        tests = str(Path(client_on_windows.__file__).parents[1])
        result = subprocess.run(
            line, capture_output=True, text=True, timeout=120, env={**os.environ, "PYTHONPATH": tests}
        )
    assert result.stdout == "done\n", result.stderr
