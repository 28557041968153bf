# SPDX-License-Identifier: Apache-2.0
"""Processes recognised by number and start time."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tfs_deploy.host import processes
from tfs_deploy.host.processes import is_running, resident_bytes, start_time


def test_start_times():
    own = start_time(os.getpid())
    assert own is not None
    assert own >= start_time(1)
    assert start_time(2**22 + 1) is None


def test_a_number_alone_does_not_make_a_process_the_same():
    own = start_time(os.getpid())
    assert is_running(os.getpid(), own)
    assert not is_running(os.getpid(), own - 1)


def test_a_zombie_does_not_run():
    child = subprocess.Popen(["/bin/true"])
    end = time.monotonic() + 20
    while start_time(child.pid) is not None:
        assert time.monotonic() < end
    child.wait()


def test_the_name_of_a_process_does_not_confuse_its_start_time(tmp_path):
    script = tmp_path / "a) S 1 (b"
    script.symlink_to("/bin/sleep")
    child = subprocess.Popen([script, "60"])
    try:
        mine, its = start_time(os.getpid()), start_time(child.pid)
        assert mine is not None
        assert its is not None
        assert its >= mine
    finally:
        child.kill()
        child.wait()


def test_memory_of_a_process():
    assert resident_bytes(os.getpid()) > 1 << 20
    assert resident_bytes(2**22 + 1) is None


def test_windows_is_not_asked_with_a_signal_whether_a_process_runs(monkeypatch):
    monkeypatch.setattr(processes, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setattr(os, "kill", lambda *_: pytest.fail("on Windows the signal 0 is Ctrl-C"))
    monkeypatch.setattr(processes, "Path", lambda _: Path("/no/proc"))
    assert processes.start_time(1) == 0
