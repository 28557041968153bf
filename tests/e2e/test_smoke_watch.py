# SPDX-License-Identifier: Apache-2.0
"""``smoke --watch`` and ``--textfile`` against a real server that goes wrong, recovers and goes away."""

from __future__ import annotations

import json
import re
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from support.forked_command import run_command
from support.live import free_ports, until
from tfs_deploy.client import Client
from tfs_deploy.config import model_server_config
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.launch.up import down, up
from tfs_deploy.savedmodel.goldens import Golden, write_goldens

if TYPE_CHECKING:
    from tfs_deploy.deployment import Deployment

FILE = """
name: zoo
server: {{grpc_port: {}, rest_port: {}}}
models:
  - name: zoo
    base_path: models/zoo
    versions: {{specific: [1, 2]}}
    labels: {{stable: 1}}
"""
X = np.array([1.0, 2.0, -3.0], np.float32)


def smoke(file: Path, *options: str) -> list[str]:
    return [sys.executable, "-m", "tfs_deploy", "smoke", str(file), *options]


def run(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return run_command("smoke", file, *options)


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    folder = tmp_path_factory.mktemp("watched")
    source = Path(__file__).parents[1] / "data" / "models" / "zoo"
    for version, constant in ((1, 2), (2, 3)):
        shutil.copytree(source / str(version), folder / "models" / "zoo" / str(version))
        golden = Golden("serving_default", {"x": X}, {"y": (X / 2 + constant).astype(np.float32)})
        write_goldens(folder / "models" / "zoo" / str(version), [golden])
    file = folder / "zoo.yaml"
    file.write_text(FILE.format(*free_ports(2)))
    return load_deployment(file)


@pytest.fixture(scope="module")
def served(deployment: Deployment) -> Iterator[Deployment]:
    up(deployment)
    yield deployment
    down(deployment)


def label_stable(deployment: Deployment, version: int) -> None:
    (model,) = deployment.models
    with Client(f"127.0.0.1:{deployment.server.grpc_port}") as client:
        client.reload(model_server_config(replace(deployment, models=(replace(model, labels={"stable": version}),))))


def series(path: Path) -> dict[str, float]:
    lines = [line for line in path.read_text().splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


@contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Leave no process behind, however a test ends."""
    try:
        yield
    finally:
        process.kill()


def test_one_round_for_cron(served, tmp_path):
    result = run(served.source, "--quiet", "--textfile", str(tmp_path / "zoo.prom"))

    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    found = series(tmp_path / "zoo.prom")
    assert found['tfs_deploy_smoke_deployment_success{deployment="zoo"}'] == 1
    assert sum("latency_seconds" in name for name in found) == 2
    again = run(served.source, "--watch", "--rounds", "1")
    assert (again.returncode, len(again.stdout.splitlines())) == (0, 1)


def test_the_doctor_knows_the_deployments_own_server(served):
    command = [sys.executable, "-m", "tfs_deploy", "doctor", str(served.source), "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    found = {each["id"]: each for each in json.loads(result.stdout)["findings"]}
    for name in ("port.grpc", "port.rest"):
        assert found[name]["level"] == "ok"
        assert "this deployment's own server" in found[name]["detail"]


GUIDE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
COMMANDS = re.findall(r"tfs-deploy ((?:smoke|doctor)\b(?: [-\w./]+)*)", GUIDE)
COMMANDS = sorted({line for line in COMMANDS if ".yaml" in line and not line.endswith("--watch --interval 5")})


def test_the_guide_has_its_commands():
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_of_the_guide(served, tmp_path, line):
    quick = {"--interval 5": "--interval 0.1", "--rounds 12": "--rounds 2"}
    for slow, fast in quick.items():
        line = line.replace(slow, fast)
    words = [re.sub(r"\S*digits\.yaml$", str(served.source), word) for word in line.split()]
    words = [str(tmp_path / "zoo.prom") if word.endswith(".prom") else word for word in words]
    command = [sys.executable, "-m", "tfs_deploy", *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    for name in series(tmp_path / "zoo.prom") if "--textfile" in line else ():
        assert f"`{name.partition('{')[0]}`" in GUIDE


def test_from_good_to_bad_and_back_and_away(served, tmp_path):
    metrics = tmp_path / "collector" / "zoo.prom"
    # a umask as hardened machines give to cron
    command = smoke(served.source, "--watch", "--interval", "0.1", "--timeout", "2", "--textfile", str(metrics))
    grpc = 'success{deployment="zoo",model="zoo",label="stable",version="",transport="grpc"}'
    with (
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, umask=0o077, bufsize=1
        ) as watching,
        ended(watching),
    ):
        assert watching.stdout is not None

        def next_with(word: str) -> str:
            return until(lambda: line if word in (line := watching.stdout.readline()) else "")

        line = next_with(" ok ")
        assert "4 checks" in line
        assert series(metrics)[f"tfs_deploy_smoke_{grpc}"] == 1
        assert stat.S_IMODE(metrics.stat().st_mode) == 0o644

        label_stable(served, 2)  # somebody moves the label behind the deployment's back
        # the label may have moved in the middle of a round, so that only its second half is wrong
        assert " failed " in next_with("version 2 answered instead of version 1")
        until(lambda: series(metrics)[f"tfs_deploy_smoke_{grpc}"] == 0)
        found = series(metrics)
        assert found['tfs_deploy_smoke_deployment_success{deployment="zoo"}'] == 0

        label_stable(served, 1)
        next_with(" ok ")
        down(served)
        assert "first: zoo label stable, grpc answers: failed" in next_with("2 of 2 checks")
        watching.send_signal(signal.SIGINT)
        rest, errors = watching.communicate(timeout=300)
    assert watching.returncode == 130
    assert errors.split() == ["interrupted"]
    assert all(" failed " in line for line in rest.splitlines())
    assert [path.name for path in metrics.parent.iterdir()] == ["zoo.prom"]


def test_a_bounded_watch_ends_with_its_last_state(deployment, tmp_path):
    result = run(deployment.source, "--watch", "--rounds", "2", "--interval", "0.1", "--timeout", "0.5", "--json")

    assert result.returncode == 1
    rounds = [json.loads(line) for line in result.stdout.splitlines()]
    assert [found["ok"] for found in rounds] == [False, False]
    assert rounds[0]["checks"][0]["outcome"] == "failed"
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--interval", "5"], 2, "need --watch"),
        (["--rounds", "5"], 2, "need --watch"),
        (["--textfile", "zoo.txt"], 2, "--textfile zoo.prom"),
        (["--watch", "--label", "nobody"], 2, "no model has the label 'nobody'"),
        (["--textfile", "/proc/nowhere/zoo.prom"], 3, "cannot write to /proc/nowhere"),
    ],
)
def test_what_cannot_be_watched_or_written(deployment, options, code, message):
    result = run(deployment.source, *options, "--timeout", "0.5")

    assert result.returncode == code
    assert message in result.stderr
    assert "Traceback" not in result.stderr
