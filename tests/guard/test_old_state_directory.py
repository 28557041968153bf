# SPDX-License-Identifier: Apache-2.0
"""A state directory that an earlier tfs-deploy left is read, and the rollout in it goes on to its end.

``data/unfinished_rollout/README.md`` tells how it was made.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from support.live import free_ports
from tfs_deploy import Client
from tfs_deploy.client import read_traffic

OLD = Path(__file__).parent / "data" / "unfinished_rollout"
#: version -> the model of the zoo that it is a copy of
VERSIONS = {1: "1", 2: "2", 3: "1"}


@dataclass
class Found:
    """The deployment, and what commands said of it before and after the rollout went on."""

    file: Path
    address: str
    before: dict[str, Any] = field(default_factory=dict)
    served: dict[str, Any] = field(default_factory=dict)
    resumed: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> Path:
        return self.file.parent / ".tfs-deploy" / "zoo"


def digest_of_section(base_path: Path) -> str:
    """Return the digest of the model's section that ``active.json`` holds; it has the base path in it."""
    section = {
        "name": "zoo",
        "base_path": str(base_path),
        "policy": {"kind": "specific", "count": 1, "versions": [1]},
        "labels": {"stable": 1},
        "traffic": {"stable": 100.0},
    }
    text = json.dumps(section, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def copy_out(folder: Path, models: Path) -> Found:
    """Copy the deployment, and put this machine's paths and ports in the place of the names between @."""
    for version, like in VERSIONS.items():
        place = folder / "models" / "zoo" / str(version)
        shutil.copytree(models / "zoo" / like, place)
        shutil.copytree(OLD / "goldens" / str(version), place / "assets.extra" / "goldens")
    grpc, rest = free_ports(2)
    digest = digest_of_section(folder / "models" / "zoo")
    words = {"@FOLDER@": str(folder), "@GRPC@": str(grpc), "@REST@": str(rest), "@DIGEST@": digest}
    found = Found(folder / "zoo.yaml", f"127.0.0.1:{grpc}")
    shutil.copytree(OLD / "state", found.state, symlinks=True)
    shutil.copy(OLD / "zoo.yaml", folder)
    for path in (found.file, *found.state.rglob("*")):
        if path.is_file():
            text = path.read_text()
            for word, value in words.items():
                text = text.replace(word, value)
            path.write_text(text)
    return found


@pytest.fixture(scope="module")
def found(
    tmp_path_factory: pytest.TempPathFactory, models: Path, cli: Callable[..., SimpleNamespace]
) -> Iterator[Found]:
    """The old deployment, looked at, started, and its rollout carried on."""
    found = copy_out(tmp_path_factory.mktemp("old").resolve(), models)

    def document(*words: object, code: int = 0) -> dict[str, Any]:
        done = cli(*words, "--json")
        assert done.returncode == code, (words, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def look(*, good: bool) -> dict[str, Any]:
        return {
            "status": document("status", found.file, code=0 if good else 1),
            "lock": document("lock", "status", found.file)["lock"],
            "rollout": document("rollout", "status", found.file),
            "history": document("rollout", "history", found.file)["rollouts"],
            "traffic": read_traffic(found.state / "traffic.json"),
            "plan": document("plan", found.file),
        }

    found.before = look(good=False)
    try:
        document("up", found.file)
        found.served = look(good=False)  # the rollout is unfinished
        found.resumed = document("rollout", "resume", found.file)["rollout"]
        found.after = look(good=True)
        yield found
    finally:
        cli("down", found.file)


def labels(status: dict[str, Any]) -> dict[int, list[str]]:
    return {row["version"]: row["labels"] for row in status["models"][0]["versions"]}


def test_what_was_left_is_read(found):
    before = found.before
    assert before["status"]["running"] is False
    assert before["lock"] is None  # the file names its holder, who has died
    assert before["rollout"]["at_work"] is None
    assert before["rollout"]["phase"] == "step"
    assert before["rollout"]["rollout"]["status"] == "running"
    assert [step["weight"] for step in before["rollout"]["rollout"]["steps"]] == [50]
    assert before["rollout"]["traffic"] == {"stable": 50, "canary": 50}
    assert (before["traffic"].generation, before["traffic"].models) == (5, {"zoo": {"stable": 50, "canary": 50}})


def test_the_finished_rollout_before_it_is_read(found, cli):
    numbers = [(entry["number"], entry["from"], entry["to"], entry["status"]) for entry in found.before["history"]]
    assert numbers == [(2, 2, 3, "running"), (1, 1, 2, "done")]
    report = json.loads(cli("rollout", "report", found.file, "--number", 1, "--json").stdout)["rollout"]
    assert [(step["weight"], step["verdict"]) for step in report["steps"]] == [(50, "pass"), (100, "pass")]


def test_the_server_starts_with_the_versions_and_labels_of_the_unfinished_rollout(found):
    assert labels(found.served["status"]) == {2: ["stable"], 3: ["canary"]}
    assert found.served["plan"]["steps"] == []
    assert found.served["rollout"]["rollout"]["status"] == "running"
    assert found.served["traffic"].models == {"zoo": {"stable": 50, "canary": 50}}


def test_the_rollout_goes_on_to_its_end(found):
    assert (found.resumed["status"], found.resumed["from"], found.resumed["to"]) == ("done", 2, 3)
    assert [step["weight"] for step in found.resumed["steps"]] == [50, 100]
    assert labels(found.after["status"]) == {3: ["stable"]}
    assert found.after["traffic"].models == {"zoo": {"stable": 100}}
    assert found.after["traffic"].generation > found.before["traffic"].generation
    assert found.after["plan"]["steps"] == []
    assert [(entry["number"], entry["status"]) for entry in found.after["history"]] == [(2, "done"), (1, "done")]
    with Client(found.address) as client:
        reply = client.predict("zoo", {"x": [2.0]}, label="stable")
    assert (reply.version, float(reply["y"][0])) == (3, 3.0)
