# SPDX-License-Identifier: Apache-2.0
"""A process that is asked to end, from its first moment on, and by a terminal that is closed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tfs_deploy.host.signals import ending_signals, signals_later

#: asks itself to end while a module is being imported
EARLY = """
import importlib, os, signal, sys
class Asks:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{signal})
sys.meta_path.insert(0, Asks())
from {program} import main
sys.exit(main({arguments!r}))
"""


def test_nohup_keeps_a_process_from_ending_with_its_terminal():
    assert set(ending_signals()) == {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert set(ending_signals()) == {signal.SIGINT, signal.SIGTERM}
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_hangup_waits_for_a_piece_of_work():
    came = []
    before = signal.signal(signal.SIGHUP, lambda *_: came.append("end"))
    try:
        with signals_later():
            os.kill(os.getpid(), signal.SIGHUP)
            came.append("work")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert came == ["work", "end"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize(
    ("program", "module", "arguments", "code", "said"),
    [
        ("tfs_deploy.cli.entry", "tfs_deploy.cli.main", ["--version"], 130, "interrupted\n"),
        ("tfs_deploy.server.__main__", "tfs_deploy.server.process.server_process", ["--model_base_path=/m"], 0, ""),
    ],
)
def test_a_process_may_be_asked_to_end_before_it_has_begun(name, program, module, arguments, code, said):
    script = EARLY.format(program=program, module=module, arguments=arguments, signal=name)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (code, said)
