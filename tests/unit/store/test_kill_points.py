# SPDX-License-Identifier: Apache-2.0
"""A publisher that is killed at any instant never leaves a partial version visible, and the next one works."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.manifest import build_manifest, verify_manifest, write_manifest
from tfs_deploy.savedmodel.versions import list_versions
from tfs_deploy.store import publish

#: publishes and prunes ROUNDS times; kills itself at the KILL_AT-th thing it asks of the system
PUBLISHER = """
import os, signal, sys
from pathlib import Path
from tfs_deploy.store import publish
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.store.retention import prune
from tfs_deploy.savedmodel.manifest import build_manifest, write_manifest
base, rounds, kill_at = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
steps = 0
def count(event, arguments):
    global steps
    if event.split(".")[0] in ("open", "os", "shutil", "fcntl", "ctypes"):
        steps += 1
        if steps == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
def one_version():
    with publish.stage(base) as staged:
        (staged.path / "variables").mkdir()
        with open(staged.path / "variables" / "variables.data-00000-of-00001", "wb") as file:
            for _ in range(20):
                file.write(os.urandom(4000))
                file.flush()
        (staged.path / "saved_model.pb").write_bytes(b"x" * 1000)
        write_manifest(staged.path, build_manifest(staged.path, signature_digest=""))
        number = staged.publish().number
    prune(base, 2, [], number)
one_version()
print("ready", flush=True)
sys.addaudithook(count)
for _ in range(rounds):
    one_version()
print(steps, flush=True)
"""


def start(base: Path, rounds: int, kill_at: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PUBLISHER, str(base), str(rounds), str(kill_at)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


def publish_another(base: Path) -> int:
    with publish.stage(base) as staged:
        (staged.path / "saved_model.pb").write_bytes(b"y")
        write_manifest(staged.path, build_manifest(staged.path, signature_digest=""))
        return staged.publish().number


def check_after_kill(base: Path) -> None:
    for version in list_versions(base):
        assert verify_manifest(version.path) == []
    highest = max((version.number for version in list_versions(base)), default=0)
    assert publish_another(base) == highest + 1
    assert [path.name for path in base.iterdir() if not path.name.isdecimal()] == []


def kill_at_steps(base: Path, steps: list[int]) -> None:
    for step in steps:
        child = start(base, rounds=1, kill_at=step)
        child.communicate(timeout=300)
        assert child.returncode == -signal.SIGKILL
        check_after_kill(base)


def count_steps(base: Path) -> int:
    # with as many versions there as in the runs that follow, so that pruning has something to do
    publish_another(base)
    with start(base, rounds=1, kill_at=-1) as child:
        assert child.stdout is not None
        printed = child.stdout.read()  # communicate() would not see what was read along with the first line
    assert child.returncode == 0
    return int(printed)


def test_killed_at_steps_of_its_work(tmp_path):
    base = tmp_path / "digits"
    steps = count_steps(base)
    assert steps > 30
    kill_at_steps(base, sorted(random.Random(11).sample(range(1, steps + 1), 10)))


@pytest.mark.full
@pytest.mark.timeout(300)
def test_killed_at_every_step_of_its_work(tmp_path):
    base = tmp_path / "digits"
    kill_at_steps(base, list(range(1, count_steps(base) + 1)))


@pytest.mark.full
def test_killed_at_random_moments(tmp_path):
    base = tmp_path / "digits"
    moments = random.Random(23)
    for _ in range(40):
        child = start(base, rounds=10**6, kill_at=-1)
        time.sleep(moments.uniform(0, 0.06))  # the moment is the point; nothing is waited for
        child.kill()
        child.communicate(timeout=300)
        check_after_kill(base)


#: exports a real model again and again
EXPORTER = """
import sys
import tensorflow as tf
import tfs_deploy as td
weight = tf.Variable(tf.ones([2500, 1000]))
signature = td.Signature(lambda x: {"y": x @ weight}, inputs={"x": ("float32", (None, 2500))})
examples = {"serving_default": {"x": [[0.0] * 2500]}}
td.export_model(tf.Module(), sys.argv[1], signatures=signature, check=False)
print("ready", flush=True)
while True:
    td.export_model(tf.Module(), sys.argv[1], signatures=signature, examples=examples, check=False, keep=20)
"""


@pytest.mark.full
@pytest.mark.tensorflow
@pytest.mark.timeout(600)
def test_exports_killed_at_random_moments(tmp_path):
    """The whole exporter with TensorFlow, killed 40 times; a server would find whole versions only."""
    pytest.importorskip("tensorflow")
    base = tmp_path / "digits"
    moments = random.Random(31)
    for _ in range(40):
        child = subprocess.Popen([sys.executable, "-c", EXPORTER, str(base)], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0, 0.5))  # the moment is the point; nothing is waited for
        child.kill()
        child.communicate(timeout=300)
        for version in list_versions(base):
            inspect_model(version.path)
        check_after_kill(base)
        for version in list_versions(base)[-1:]:
            shutil.rmtree(version.path)  # what check_after_kill published is no model
