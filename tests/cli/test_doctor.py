# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy doctor`` on this machine, and on machines where things are missing."""

from __future__ import annotations

import io
import json
import os
import re
import socket
import socketserver
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from support.forked_command import run_command
from support.live import free_port, free_ports
from support.stand_in_engines import EngineApi, listening
from tfs_deploy.cli.commands.doctor import _show
from tfs_deploy.doctor.finding import Diagnosis, Finding, Level

FILE = """
name: digits
server: {{target: {target}, grpc_port: {grpc}, rest_port: {rest}{docker}}}
models:
  - {{name: digits, base_path: models/digits}}
"""
ALWAYS = [
    "python.platform",
    "python.version",
    "package.name",
    "package.tensorflow",
    "package.numpy",
    "package.grpcio",
    "package.protobuf",
    "package.gencode",
    "package.serving-api",
    "package.conflicts",
    "docker.socket",
    "docker.engine",
    "image.present",
    "image.architecture",
    "gpu.driver",
    "gpu.containers",
    "port.grpc",
    "port.rest",
    "disk.state",
    "disk.tmp",
    "limits.files",
    "clock.system",
    "clock.files",
    "clock.engine",
]
NO_DOCKER = {"DOCKER_HOST": "unix:///nowhere/docker.sock"}


def doctor(*arguments: str, prefix: tuple[str, ...] = (), **environment: str) -> subprocess.CompletedProcess[str]:
    if not prefix:
        return run_command("doctor", *arguments, env={**os.environ, **environment})
    command = [*prefix, sys.executable, "-m", "tfs_deploy", "doctor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})


def findings(*arguments: str, code: int | None = None, **more: Any) -> dict[str, dict[str, Any]]:
    result = doctor(*arguments, "--json", **more)
    document = json.loads(result.stdout)
    assert result.returncode == (0 if document["ok"] else 1), result.stdout
    assert code in (None, result.returncode), result.stdout
    assert "Traceback" not in result.stderr
    return {found["id"]: found for found in document["findings"]}


def deployment(folder: Path, target: str = "embedded", docker: str = "", ports: list[int] | None = None) -> str:
    (folder / "models" / "digits").mkdir(parents=True, exist_ok=True)
    grpc, rest = ports or free_ports(2)
    (folder / "digits.yaml").write_text(FILE.format(target=target, grpc=grpc, rest=rest, docker=docker))
    return str(folder / "digits.yaml")


def test_this_machine():
    found = findings()
    assert set(ALWAYS) <= set(found)
    for name, version in (("tensorflow", "TensorFlow"), ("numpy", "numpy"), ("grpcio", "grpcio")):
        assert found[f"package.{name}"]["detail"] == f"{version} {metadata.version(name)}"
    assert found["package.conflicts"]["level"] == "ok", found["package.conflicts"]
    assert found["extra.cli"]["level"] == "ok"
    assert found["clock.files"]["level"] == "ok"
    for each in found.values():
        assert each["level"] in ("ok", "warning", "problem", "skipped")
        assert each["level"] in ("ok", "skipped") or each["hint"]


def test_the_guide_explains_every_question(tmp_path):
    guide = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    explained = set(re.findall(r"`([a-z]+\.[A-Za-z.-]+)`", guide))
    found = findings(deployment(tmp_path))
    asked = {re.sub(r"^(extra|disk\.models)\..*", r"\1.NAME", name) for name in found}
    assert asked - explained == set()


def test_a_file_brings_its_ports_and_directories_and_leaves_nothing_behind(tmp_path):
    found = findings(deployment(tmp_path), code=0, **NO_DOCKER)
    assert found["disk.models.digits"]["detail"].startswith(str(tmp_path / "models" / "digits"))
    assert found["docker.engine"]["level"] == "warning"  # DOCKER_HOST is set, and wrong
    assert {path.name for path in tmp_path.iterdir()} == {"digits.yaml", "models"}


def test_for_people_every_answer_is_a_row_and_the_last_lines_say_what_to_do(tmp_path):
    with socket.socket() as holder:
        holder.bind(("", 0))
        holder.listen()
        taken = holder.getsockname()[1]
        file = deployment(tmp_path, ports=[taken, free_port()])
        result = doctor(file, **NO_DOCKER)
    assert result.returncode == 1
    assert "\x1b[" not in result.stdout + result.stderr
    for name in ALWAYS:
        assert re.search(rf"^ {re.escape(name)} +(ok|warning|problem|skipped) ", result.stdout, re.MULTILINE), name
    assert "problem port.grpc: stop it, or choose another server.grpc_port" in result.stdout
    assert f"1 problem; first: port.grpc: {taken} is in use" in result.stderr
    assert f"by process {os.getpid()}" in " ".join(result.stdout.split())
    assert doctor(file, "--quiet", **NO_DOCKER).stdout == ""


def test_a_mistake_in_the_file_is_told_as_everywhere(tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("name: x\nservre: {}\n")
    result = doctor(str(file))
    assert result.returncode == 2
    assert "did you mean" in result.stderr.lower()


def test_without_programs_and_without_an_engine(tmp_path):
    found = findings(deployment(tmp_path), code=0, PATH="", **NO_DOCKER)
    assert found["gpu.driver"]["level"] == "skipped" or Path("/proc/driver/nvidia").exists()
    docker = ', docker: {image: "tensorflow/serving:2.19.1-gpu", gpus: all}'
    found = findings(deployment(tmp_path, "docker", docker), code=1, PATH="", **NO_DOCKER)
    for name in ("docker.socket", "docker.engine"):
        assert found[name]["level"] == "problem", found[name]
    assert found["image.present"]["level"] == "skipped"


@pytest.mark.parametrize(("limit", "level"), [(64, "problem"), (24, "problem"), (600, "warning")])
def test_with_few_open_files(tmp_path, limit, level):
    prefix = ("sh", "-c", f'ulimit -n {limit}; exec "$@"', "sh")
    found = findings(deployment(tmp_path), prefix=prefix, **NO_DOCKER)
    assert found["limits.files"]["level"] == level
    assert f"the hard limit is {limit}" in found["limits.files"]["hint"]


def test_without_a_directory_for_temporary_files(tmp_path):
    found = findings(deployment(tmp_path), code=0, TMPDIR=str(tmp_path / "gone"), **NO_DOCKER)
    assert found["disk.tmp"]["level"] in ("ok", "warning")  # Python falls back to /tmp, as every program here does


def test_an_engine_of_another_machine(tmp_path):
    found = findings(deployment(tmp_path), code=0, DOCKER_HOST="tcp://192.0.2.1:2375")
    assert "another machine" in found["docker.engine"]["detail"]
    assert found["docker.socket"]["level"] == "skipped"


class Silent(socketserver.BaseRequestHandler):
    """Takes every connection and says nothing until the other side gives up."""

    def handle(self) -> None:
        while self.request.recv(4096):
            pass


def test_an_engine_that_hangs_is_given_up_soon(tmp_path):
    started = time.monotonic()
    with listening(tmp_path / "s", Silent) as host:
        found = findings(deployment(tmp_path), DOCKER_HOST=host)
    assert found["docker.engine"]["level"] == "warning"
    assert "does not answer" in found["docker.engine"]["detail"]
    assert time.monotonic() - started < 50  # not the minute that commands give an engine


class Strange(EngineApi):
    """A rootless Podman on an Arm machine whose clock is ahead, with a container on a port."""

    port = 0
    missing = "no such image"

    def known(self) -> dict[str, Any]:
        then = datetime.now(timezone.utc) + timedelta(seconds=100)
        info = {
            "Architecture": "arm64",
            "OSType": "linux",
            "SecurityOptions": ["name=rootless"],
            "Runtimes": {"crun": {}},
        }
        bound = {"PublicPort": self.port, "PrivatePort": 8500, "Type": "tcp"}
        return {
            "/version": {"Version": "4.9.4", "ApiVersion": "1.41", "Components": [{"Name": "Podman Engine"}]},
            "/info": {**info, "SystemTime": then.strftime("%Y-%m-%dT%H:%M:%S.123456789Z")},
            "/containers/json": [{"Names": ["/shop"], "Ports": [bound]}],
        }


def test_a_strange_engine(tmp_path):
    docker = ', docker: {image: "tensorflow/serving:2.19.1-gpu", gpus: all}'
    with socket.socket() as holder, listening(tmp_path / "s", Strange) as host:
        holder.bind(("", 0))
        holder.listen()
        Strange.port = holder.getsockname()[1]
        file = deployment(tmp_path, "docker", docker, ports=[Strange.port, free_port()])
        found = findings(file, code=1, DOCKER_HOST=host)
    assert "Podman 4.9.4, API 1.41, rootless cannot change" in found["docker.engine"]["detail"]
    assert re.search(r"(99|100) s ahead of", found["clock.engine"]["detail"])
    assert found["image.architecture"]["level"] == "problem"
    assert "but this machine is arm64" in found["image.architecture"]["detail"]
    assert found["image.present"]["level"] == "warning"
    assert found["port.grpc"]["detail"].endswith("by container shop")
    assert found["gpu.containers"]["level"] == "problem"


def test_a_gpu_of_a_machine_and_one_that_fails(tmp_path):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\necho 'NVIDIA L4, 550.54.15,   23034 MiB'\n")
    smi.chmod(0o755)
    found = findings(PATH=str(tmp_path), **NO_DOCKER)
    assert found["gpu.driver"] == {
        "id": "gpu.driver",
        "level": "ok",
        "detail": "NVIDIA L4, 550.54.15, 23034 MiB",
        "hint": None,
    }
    smi.write_text("#!/bin/sh\necho 'Driver/library version mismatch' >&2\nexit 18\n")
    found = findings(PATH=str(tmp_path), **NO_DOCKER)
    assert found["gpu.driver"]["level"] == "warning"
    assert "Driver/library version mismatch" in found["gpu.driver"]["detail"]


def closure(*starts: str) -> set[str]:
    """Return the distributions that these need here, without their extras."""
    from packaging.requirements import Requirement

    todo, done = [*starts], set()
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name in done:
            continue
        done.add(name)
        for line in metadata.distribution(name).requires or ():
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                todo.append(needed.name)
    return done


def test_with_nothing_but_the_extra_cli(tmp_path):
    pytest.importorskip("packaging")
    site = tmp_path / "site"
    site.mkdir()
    members = ("click", "rich", "pyyaml", "pydantic", "httpx", "orjson", "numpy", "grpcio", "protobuf")
    for name in closure(*members):
        distribution = metadata.distribution(name)
        for top in {path.parts[0] for path in distribution.files or () if path.parts[0] not in ("..", "__pycache__")}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    import tfs_deploy

    (site / "tfs_deploy").symlink_to(Path(tfs_deploy.__file__).parent)
    own = metadata.distribution("tf-serving-deploy")
    folder = next(Path(str(own.locate_file(path))).parent for path in own.files or () if path.name == "METADATA")
    (site / folder.name).symlink_to(folder)
    (site / "tensorflow-9.9.dist-info").mkdir()  # what an interrupted uninstall leaves

    code = (
        "import sys; from tfs_deploy.cli.main import run; code = run(['doctor', '--json'])\n"
        "assert not {'tensorflow', 'docker', 'numpy', 'packaging'} & set(sys.modules); sys.exit(code)"
    )
    command = [sys.executable, "-S", "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    environment.pop("DOCKER_HOST", None)
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    found = {each["id"]: each for each in json.loads(result.stdout)["findings"]}
    assert found["package.tensorflow"]["level"] == "skipped"
    assert found["package.tensorflow"]["hint"] == "pip install 'tf-serving-deploy[export]'"
    assert found["docker.engine"]["detail"] == "not checked: the Python package docker is not installed"
    assert found["extra.cli"]["level"] == "ok"
    assert found["extra.server"]["level"] == found["extra.docker"]["level"] == "skipped"


def test_the_terraform_helper_of_that_name_is_found_although_it_overwrote_a_file(tmp_path):
    import tfs_deploy

    package = tmp_path / "tfs_deploy"
    package.mkdir()
    for path in Path(tfs_deploy.__file__).parent.iterdir():
        if path.name not in ("__init__.py", "__pycache__"):
            (package / path.name).symlink_to(path)
    (package / "__init__.py").write_text('__version__ = "0.1.5"\n')  # this, and cli.py, is what its wheel holds
    (package / "cli.py").write_text("raise RuntimeError\n")
    (tmp_path / "tfs_deploy-0.1.5.dist-info").mkdir()
    metadata_file = tmp_path / "tfs_deploy-0.1.5.dist-info/METADATA"
    metadata_file.write_text("Metadata-Version: 2.4\nName: tfs-deploy\nVersion: 0.1.5\nSummary: Terraform helper\n")
    command = [sys.executable, "-m", "tfs_deploy.cli.entry", "doctor", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, cwd=tmp_path)
    assert result.returncode == 1, result.stdout + result.stderr
    found = {each["id"]: each for each in json.loads(result.stdout)["findings"]}
    assert found["package.name"]["level"] == "problem"
    assert found["package.name"]["detail"].startswith("tfs-deploy 0.1.5 (Terraform helper) is installed too")


@pytest.mark.parametrize("width", [48, 79, 80, 110])
def test_no_width_of_a_terminal_breaks_the_name_of_a_check(width):
    names = ("package.tensorflow", "image.architecture")
    detail = "a sentence of words, which may go on in the next line but stay whole"
    shown = io.StringIO()
    _show(Console(file=shown, width=width), Diagnosis(tuple(Finding(name, Level.OK, detail) for name in names)))
    words = shown.getvalue().replace(":", "").split()
    assert all(words.count(name) == 1 for name in names)
    assert words.count("sentence") == 2
    assert words.count("whole") == 2
    assert max(map(len, shown.getvalue().splitlines())) <= width
