# SPDX-License-Identifier: Apache-2.0
"""The documents of ``--json`` and the files of a state directory have the keys and kinds of values of the record.

One deployment goes through its life, with every command once on the way.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from support.live import free_ports, until
from support.scripts import script
from tfs_deploy.client import RequestRecorder

schemas = script("make_json_schemas")
#: the first test of a worker pays for all commands, beside whatever else the machine does
#: objects whose keys are not fixed: names of models, signatures, tensors, labels, ops and files
MAPS = (
    *("signatures", "*.inputs", "*.outputs", "outputs", "ops", "*.ops", "manifest.files", "manifest.metadata"),
    *("labels", "*.labels", "traffic", "*.weights", "*.copies", "*.windows", "*.others", "*.side_traffic"),
    *("*.classes", "*.compared"),
)
#: what is null or not by the machine, its load, or whether this is a git checkout; ends of paths
UNSTEADY = {
    **dict.fromkeys(("baseline.p50", "baseline.p90", "baseline.p95", "baseline.p99"), "null or number"),
    **dict.fromkeys(("load_tests[].p50", "load_tests[].p90", "load_tests[].p99"), "null or number"),
    "findings[].hint": "null or text",
    "first_failed": "null or text",
    "limit": "null or number",
    "manifest.git_commit": "null or text",
    "memory.fits": "boolean or null",
    "memory.room": "null or number",
    "received": "null or number",
    "sent": "null or number",
}
QUICK = ("--steps", "50,100", "--bake", "1s", "--no-default-gates", "--ignore-lint")
JUDGED = ("--gate", "errors=50%", "--gate", "p99=10s", "--min-samples", "1")
SLOW = ("--steps", "50,100", "--bake", "60s", "--no-default-gates", "--ignore-lint")


class Life:
    """A deployment of two versions of one model; every document and every state of its directory is kept."""

    def __init__(self, folder: Path, models: Path, cli: Callable[..., SimpleNamespace]) -> None:
        self.folder, self.models, self.cli = folder, models, cli
        self.file = folder / "shop.yaml"
        self.state = folder / ".tfs-deploy" / "shop"
        self.base = folder / "models" / "half"
        self.grpc, self.rest = free_ports(2)
        self.documents: dict[str, Any] = {}
        self.states: dict[str, Any] = {}
        self.write(self.file.name, server={"grpc_port": self.grpc, "rest_port": self.rest})

    def write(self, name: str, *, server: dict[str, Any]) -> Path:
        """Write a deployment file and return its path."""
        model = {"name": "half", "base_path": "models/half", "versions": {"specific": [1]}}
        model |= {"labels": {"stable": 1}, "traffic": {"stable": 100}}
        document = {"name": "shop", "server": server, "monitoring": {"prometheus": True}, "models": [model]}
        path = self.folder / name
        path.write_text(yaml.safe_dump(document, sort_keys=False))
        return path

    def run(self, name: str, *arguments: object, code: int | None = 0, apart: bool = False) -> None:
        """Keep the document of a command; ``code`` None: what the exit code is depends on the machine.

        ``apart``: in a process of its own, for what imports TensorFlow or opens what Python complains about later.
        """
        line = [*map(str, arguments), "--json"]
        if apart:
            command = [sys.executable, "-m", "tfs_deploy", *line]
            done: Any = subprocess.run(command, capture_output=True, text=True, timeout=300)
        else:
            done = self.cli(*line)
        assert done.returncode == code or code is None, (name, done.stdout, done.stderr)
        self.documents[name] = json.loads(done.stdout)

    def note_state(self, name: str) -> None:
        self.states[name] = dict(describe_files(self.state))

    @contextlib.contextmanager
    def at_work(self, code: int = 0) -> Iterator[None]:
        """Have another process at work on a rollout that takes long, until a command has ended it."""
        line = [sys.executable, "-m", "tfs_deploy", "rollout", "start", self.file, "--to", 2, *SLOW]
        traffic, told = self.state / "traffic.json", self.folder / "at_work.log"
        with told.open("w") as log:
            process = subprocess.Popen(list(map(str, line)), stdout=log, stderr=log)
        try:
            until(lambda: "canary" in traffic.read_text() or process.poll() is not None)
            yield
            assert process.wait(60) == code, told.read_text()
        finally:
            process.kill()
            process.wait()

    @contextlib.contextmanager
    def requests(self) -> Iterator[None]:
        """Have a consumer that tells of its requests all the time."""
        stop = threading.Event()
        recorder = RequestRecorder(self.state / "requests" / "half")

        def tell() -> None:
            for label in ("stable", "canary"):
                recorder.record(label, 0.002)
            recorder.flush()

        def tell_on() -> None:
            while not stop.wait(0.05):
                tell()

        tell()  # a rollout looks for consumers when it begins
        thread = threading.Thread(target=tell_on)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            recorder.close()


def build(life: Life) -> None:
    staged = life.folder / "staged"
    source = life.models / "saved_model_half_plus_two_2_versions" / "00000123"
    example = ("--example", "serving_default/x=[[1], [2]]")
    life.run("export", "export", source, "--to", life.base, *example, "--no-check", apart=True)
    shutil.copytree(life.base / "1", staged / "half" / "1")
    life.run("publish", "publish", staged / "half", "--to", life.base)
    life.run("pull", "pull", life.base, "--to", life.folder / "pulled" / "half")
    life.run("inspect", "inspect", life.base)
    life.run("inspect --check", "inspect", life.base / "1", "--check")
    life.run("lint", "lint", life.base / "1", code=1)
    life.run("lint --rules", "lint", "--rules")
    life.run("diff", "diff", life.base / "1", life.models / "zoo" / "1", code=1)
    life.run("run", "run", life.base / "1", "--input", "x=[[1], [2]]", apart=True)
    life.run("init", "init", life.base, "--out", "-")
    life.run("config", "config", life.file)
    life.run("config --check", "config", life.file, "--check")
    life.run("config --out", "config", life.file, "--out", life.folder / "config")
    life.run("config import", "config", "import", life.folder / "config" / "models.config")
    docker = {"target": "docker", "docker": {"image": "tensorflow/serving:2.19.1"}}
    contained = life.write("contained.yaml", server=docker)
    life.run("render compose", "render", "compose", contained)
    life.run("render dockerfile --out", "render", "dockerfile", contained, "--out", life.folder / "image")
    life.run("doctor", "doctor", life.file, code=None, apart=True)
    life.run("completion", "completion", "bash")


def deploy(life: Life) -> None:
    life.run("status, not running", "status", life.file, code=1)
    life.run("stats, not running", "stats", life.file, code=1)
    life.run("plan, not running", "plan", life.file)
    life.run("up", "up", life.file)
    life.note_state("up")
    life.run("plan", "plan", life.file)
    life.run("status", "status", life.file)
    life.run("stats", "stats", life.file)
    life.run("logs", "logs", life.file)
    life.run("smoke", "smoke", life.file)
    life.run("smoke --watch", "smoke", life.file, "--watch", "--rounds", 1)
    running = ("--target", f"127.0.0.1:{life.grpc}/{life.rest}", "--model", "half")
    life.run("verify", "verify", life.base / "1", *running, "--skip", "parity", "--load", "0.2", code=None, apart=True)
    life.run("predict", "predict", f"127.0.0.1:{life.grpc}", "half", "--input", "x=[[1], [2]]")
    life.run("predict --rest", "predict", f"127.0.0.1:{life.rest}", "half", "--input", "x=[[1], [2]]", "--rest")


def roll_out(life: Life) -> None:
    life.run("lock status", "lock", "status", life.file)
    life.run("rollout status, never rolled out", "rollout", "status", life.file)
    life.run("rollout plan", "rollout", "plan", life.file)
    with life.at_work(code=4):
        life.run("lock status, held", "lock", "status", life.file)
        life.run("rollout status, at work", "rollout", "status", life.file)
        life.note_state("rollout at work")
        life.run("lock release", "lock", "release", life.file)
    life.run("rollout abort", "rollout", "abort", life.file)
    with life.at_work():
        life.run("rollout promote, at work", "rollout", "promote", life.file, "--skip-steps")
    life.run("rollback", "rollback", life.file)
    with life.at_work(code=1):
        life.run("rollout pause", "rollout", "pause", life.file)
    life.run("rollout promote", "rollout", "promote", life.file, "--skip-steps")
    life.run("rollback", "rollback", life.file)
    with life.requests():
        life.run("rollout start", "rollout", "start", life.file, *QUICK, *JUDGED)
    life.run("rollout status", "rollout", "status", life.file)
    life.run("rollout history", "rollout", "history", life.file)
    life.run("rollout report", "rollout", "report", life.file)
    life.run("rollout report --html", "rollout", "report", life.file, "--html", life.folder / "report.html")
    life.note_state("rollout")


def end(life: Life) -> None:
    life.run("restart", "restart", life.file)
    life.run("down", "down", life.file)
    life.run("down, not running", "down", life.file)
    life.note_state("down")
    life.run("error", "rollout", "resume", life.file, code=2)
    life.file.write_text("name: shop\nmodels: []\n")
    life.run("error in a file", "up", life.file, code=2)


def describe_files(state: Path) -> Iterator[tuple[str, Any]]:
    """Yield the files of a state directory; names that a number or a process is part of get another word for it."""
    for path in sorted(state.rglob("*")):
        name = re.sub(r"^config\.\d+", "config.N", str(path.relative_to(state)))
        name = re.sub(r"^(requests/\w+)/[\w.-]+", r"\1/CONSUMER", name)
        if path.is_symlink():
            yield name, f"link to {re.sub(r'[0-9]+$', 'N', str(path.readlink()))}"
        elif path.suffix == ".json" or (path.suffix == ".lock" and path.read_text()):
            document = json.loads(path.read_text())
            yield name, {key: kind_of(value) for key, value in document.items()}
        elif path.is_file():
            yield name, "file"


def lines_of(state: Path, folder: str) -> list[Any]:
    """Return all lines of the files of a folder that have one JSON document a line."""
    files = sorted((state / folder).rglob("*.jsonl"))
    return [json.loads(line) for path in files for line in path.read_text().splitlines()]


#: keys of a line that ``tfs_deploy.state.sealed_lines`` adds to its entry
SEAL = {"crc32c", "format", "length", "previous"}


def journal(state: Path) -> dict[str, Any]:
    """Return what the entries of all journals hold, by kind and action, and that each line is sealed."""
    entries: dict[str, list[Any]] = {}
    for line in lines_of(state, "rollouts"):
        entry = {key: value for key, value in line.items() if key not in SEAL}
        assert len(line) - len(entry) == len(SEAL)
        entries.setdefault(f"{entry['kind']} {entry.get('action', '')}".strip(), []).append(entry)
    return {name: shape(values, "") for name, values in entries.items()}


def shape(values: list[Any], path: str) -> dict[str, str]:
    """Return the kinds of values at each path of keys; items of a list are one, ``[]``, and those of a map ``*``."""
    if not values:
        return {}
    found = {path: kinds_of(values, path)} if path else {}
    objects = [value for value in values if isinstance(value, dict)]
    if any(fnmatch.fnmatch(path, pattern) for pattern in MAPS):
        found |= shape([item for each in objects for item in each.values()], f"{path}.*")
    else:
        for key in {key for each in objects for key in each}:
            found |= shape([each[key] for each in objects if key in each], f"{path}.{key}".lstrip("."))
    return found | shape([item for value in values if isinstance(value, list) for item in value], f"{path}[]")


def kinds_of(values: list[Any], path: str) -> str:
    unsteady = (kinds for end, kinds in UNSTEADY.items() if f".{path}".endswith(f".{end}"))
    return next(unsteady, " or ".join(sorted({kind_of(value) for value in values})))


def kind_of(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return "null" if value is None else "boolean"
    return {str: "text", int: "number", float: "number", dict: "object", list: "list"}[type(value)]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, models: Path, cli: Callable[..., SimpleNamespace]) -> Iterator[Life]:
    life = Life(tmp_path_factory.mktemp("life"), models, cli)
    text = life.file.read_text()
    try:
        for part in (build, deploy, roll_out, end):
            part(life)
        yield life
    finally:
        life.file.write_text(text)
        cli("down", life.file)


def test_the_keys_of_every_document(life, recorded):
    recorded("json_documents", {name: shape([document], "") for name, document in life.documents.items()})


def test_its_schema_describes_every_document(life):
    for name, document in life.documents.items():
        schema = schemas.FOLDER / f"{schemas.command_of(name).replace(' ', '-')}.json"
        problems = [
            error.message for error in Draft202012Validator(json.loads(schema.read_text())).iter_errors(document)
        ]
        assert problems == [], name


def test_the_files_of_a_state_directory(life, recorded):
    recorded("state_directory", life.states)


def test_the_entries_of_a_journal(life, recorded):
    recorded("journal", journal(life.state))


def test_the_lines_of_a_consumer(life, recorded):
    recorded("requests", shape(lines_of(life.state, "requests"), ""))
