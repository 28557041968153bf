"""The lock: one holder, named to everybody else, free when its process is gone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tfs_deploy.errors import LockedError
from tfs_deploy.rollout.lock import holder, lock

HOLD = """
import pathlib, sys, time
from tfs_deploy.rollout.lock import lock
with lock(pathlib.Path(sys.argv[1]), "rollout of digits"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_told_who_has_it(tmp_path):
    with lock(tmp_path, "rollout of digits"):
        assert holder(tmp_path)["pid"] == os.getpid()
        with (
            pytest.raises(LockedError, match=rf"process {os.getpid()}\) since .*: rollout of digits") as caught,
            lock(tmp_path, "up"),
        ):
            pass
    assert caught.value.exit_code == 4
    assert caught.value.retriable
    assert holder(tmp_path) is None


def test_it_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), lock(tmp_path, "rollout"):
        raise ZeroDivisionError
    with lock(tmp_path, "up"):
        pass


def test_a_killed_holder_leaves_no_lock(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        assert holder(tmp_path)["pid"] == process.pid
        with pytest.raises(LockedError), lock(tmp_path, "up"):
            pass
    finally:
        process.kill()
        process.wait()
        process.stdout.close()

    assert holder(tmp_path) is None
    with lock(tmp_path, "up"):
        pass
