# SPDX-License-Identifier: Apache-2.0
"""Bad input on the real command line: a one-line error, a hint, the right exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from support.forked_command import run_command
from support.live import free_ports, processes_in
from tfs_deploy.client import Client
from tfs_deploy.host.tcp_ports import is_free
from tfs_deploy.launch import EmbeddedLauncher
from tfs_deploy.state.lock import lock

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Bad:
    """A command line, how it must end and what it must say; ``{...}`` stands for paths and ports of the test."""

    command: str
    code: int
    error: str
    hint: str

    def __str__(self) -> str:
        return re.sub(r"\W+", "-", self.command).strip("-")


MODELS_AND_FILES = [
    Bad("up gone.yaml", 2, "gone.yaml:5: models[0].base_path: base path {folder}/gone does not exist", "correct the"),
    Bad("up empty.yaml", 2, "empty.yaml:5: models[0].base_path: {folder}/empty holds no version: no", "correct the"),
    Bad("up nomodel.yaml", 2, "nomodel.yaml:5: models[0].base_path: version directory {folder}/nomodel/1", "correct"),
    Bad("config nomodel.yaml", 2, "nomodel.yaml:5: models[0].base_path: version directory {folder}/nomodel/1", "corr"),
    Bad("up label.yaml", 2, "label.yaml:7: models[0].labels.stable: version 124 is not served", "correct the file"),
    Bad("up nofile.yaml", 2, "deployment file nofile.yaml does not exist", "deployment files in "),
    Bad("up gone.yml", 2, "deployment file gone.yml does not exist", "did you mean gone.yaml?"),
    Bad("up busy.yaml", 3, "port {busy} is in use by process {me} (", "stop it, or choose another grpc_port"),
    Bad("status gone.yamll", 2, "deployment file gone.yamll does not exist", "did you mean gone.yaml?"),
    Bad(
        "inspect broken",
        2,
        "broken/1/saved_model.pb is damaged or not a SavedModel: ",
        "copy or export the version again",
    ),
    Bad(
        "lint broken", 2, "broken/1/saved_model.pb is damaged or not a SavedModel: ", "copy or export the version again"
    ),
    Bad(
        "diff hp broken",
        2,
        "broken/1/saved_model.pb is damaged or not a SavedModel: ",
        "copy or export the version again",
    ),
    Bad(
        "run broken -i x=1",
        2,
        "broken/1/saved_model.pb is damaged or not a SavedModel: ",
        "copy or export the version again",
    ),
    Bad("inspect nomodel", 2, "nomodel/1/saved_model.pb does not exist", "give a version directory or the base path"),
    Bad("inspect gone", 2, "gone does not exist", "give a version directory or the base path above it"),
    Bad("export broken/1 --to out", 2, "broken/1", "export the model again"),
    Bad("inspect", 2, "Missing argument 'PATH'", "tfs-deploy inspect --help"),
    Bad("inspct hp", 2, "No such command 'inspct'. Did you mean 'inspect'?", "tfs-deploy --help"),
    Bad("up --nope gone.yaml", 2, "No such option '--nope'", "tfs-deploy up --help"),
]
SERVE = [
    Bad(
        "--model_base_path={folder}/gone", 2, "base path {folder}/gone does not exist", "export a model there; to wait"
    ),
    Bad("--model_base_path={folder}/empty", 2, "{folder}/empty holds no version: no directory", "export a model there"),
    Bad(
        "--model_base_path={folder}/nomodel", 2, "version directory {folder}/nomodel/1 has no saved_model.pb", "export"
    ),
    Bad("--model_base_path={folder}/broken", 2, "{folder}/broken/1/saved_model.pb is damaged or no", "copy or export"),
    Bad(
        "--model_base_path={folder}/hp/123",
        2,
        "{folder}/hp/123 holds no version",
        "it is a version itself: give {folder}/hp",
    ),
    Bad("--model_base_path=hp", 2, "base path hp is not absolute", "write {folder}/hp"),
    Bad("--model_base_path=gs://bucket/hp", 2, "gs://bucket/hp is not on this machine", "copy the versions here"),
    Bad(
        "--model_config_file=missing.config", 2, "no version 9 under {folder}/hp, it has 123, 124", "name versions that"
    ),
    Bad("--model_config_file=two.config", 2, "base path {folder}/gone does not exist, and 1 more", "export a model"),
    Bad(
        "--model_config_file=labels.config",
        2,
        "FAILED_PRECONDITION",
        "--allow_version_labels_for_unavailable_models=true",
    ),
    Bad(
        "--model_config_file=no.config", 3, "the model config file no.config cannot be read: No such", "check the path"
    ),
    Bad(
        "--model_config_file=text.config", 3, "the model config file text.config does not parse: ", "ModelServerConfig"
    ),
    Bad("--model_base_path={folder}/hp --port={busy}", 3, "port {busy} is in use by ", "stop that process or choose"),
    Bad("--model_base_path={folder}/hp --prot=1", 2, "unknown flag --prot, did you mean --port?", "--help lists all"),
    Bad("--model_base_path={folder}/hp --port=abc", 2, "flag 'port' takes an int32 number, not 'abc'", "--help lists"),
    Bad("", 2, "no model to serve: neither --model_config_file nor --model_base_path is given", "--model_base_path is"),
]
REQUESTS = [
    Bad("nosuch -i x=1", 2, "Servable not found for request: Latest(nosuch)", "tfs-deploy status"),
    Bad("hp -i x=1 --label canary", 2, "Unrecognized servable version label: canary", "tfs-deploy status"),
    Bad(
        "hp -i x=1 --version 9",
        2,
        "Servable not found for request: Specific(hp, 9)",
        "the server has these versions of hp: version 124",
    ),
    Bad("zoo -i y=1", 2, "signature serving_default has no input y; it has: x", "use input x"),
    Bad("zoo -i img=a --signature strlen", 2, "has no input img; it has: img_bytes", "did you mean input img_bytes?"),
    Bad("zoo -i x=1 --signature strz", 2, "zoo has no signature strz; it has: ", "did you mean signature strs?"),
    Bad("zoo", 2, "signature serving_default needs the input x (float32 [?])", "add x to the inputs"),
    Bad("zoo -i x=text", 2, "input x expects float32 [?], got strings", "give float32 values"),
    Bad(
        "zoo -i x=@double.npy", 2, "input x expects float32 [?], got float64 [2]", "convert it with .astype(np.float32)"
    ),
    Bad(
        "zoo -i m=[[1,2]] --signature mat",
        2,
        "input m expects float32 [?, 3], got float32 [1, 2]",
        "in the shape [n, 3]",
    ),
    Bad("zoo -i m=@six.npy --signature mat", 2, "expects float32 [?, 3], got float32 [6]", "m.reshape(-1, 3)"),
    Bad("zoo -i x=[[1],[2,3]]", 2, "rows of unequal lengths", "pad the rows"),
    Bad("zoo -i x=@doubel.npy", 2, "doubel.npy cannot be read: No such file or directory", "did you mean double.npy?"),
    Bad(
        "zoo -i x=@other/x.npy",
        2,
        "other/x.npy cannot be read: No such file",
        "directory {folder}/other does not exist",
    ),
    Bad("zoo -i x=@text.config", 2, "text.config can only be sent as a string", "decode it and save the values"),
    Bad("zoo -i x", 2, "--input x is not NAME=VALUE", "for example --input x=[1.0,2.0]"),
    Bad("zoo -i x=1 --filter z", 2, "signature serving_default has no output z; it has: y", "use output y"),
    Bad("zoo -i x=1 -o reply.csv", 2, "--output reply.csv is neither table, json nor", "--output reply.npz"),
]

SIX_MISTAKES = """\
name: shop
servr: {grpc_port: 8500}
server: {grpc_port: 99999, rest_port: abc}
models:
  - name: hp
    base_path: hp
    versions: {specific: []}
    labels: {stable: 9}
    traffic: {stabel: 50}
"""


def run(folder: Path, line: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    return run_command(*line, cwd=folder, env={**os.environ, **environment})


@pytest.fixture(scope="session")
def taken() -> Iterator[socket.socket]:
    """A listening socket of this process."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen()
        yield listener


@pytest.fixture
def folder(tmp_path: Path, models: Path) -> Path:
    """A folder with everything wrong in it."""
    for number in (123, 124):
        shutil.copytree(models / f"saved_model_half_plus_two_2_versions/00000{number}", tmp_path / f"hp/{number}")
    (tmp_path / "empty").mkdir()
    (tmp_path / "nomodel/1/variables").mkdir(parents=True)
    shutil.copytree(tmp_path / "hp/123", tmp_path / "broken/1")
    (tmp_path / "broken/1/saved_model.pb").write_bytes(b"\xff\xfe no protocol buffer")
    np.save(tmp_path / "double.npy", np.array([1.0, 2.0]))
    np.save(tmp_path / "six.npy", np.arange(6, dtype=np.float32))
    return tmp_path


@pytest.fixture
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture
def deployments(folder: Path, ports: list[int], taken: socket.socket) -> Path:
    """Deployment files and server configs, one mistake each."""

    def write(name: str, base_path: str, more: str = "", port: int = ports[0]) -> None:
        model = f"  - name: hp\n    base_path: {base_path}\n{textwrap.indent(more, '    ')}"
        text = f"name: shop\nserver: {{grpc_port: {port}, rest_port: {ports[1]}}}\nmodels:\n{model}"
        (folder / f"{name}.yaml").write_text(text)

    for name in ("gone", "empty", "nomodel"):
        write(name, name)
    write("label", "hp", "versions: {specific: [123]}\nlabels: {stable: 124}")
    write("busy", "hp", port=taken.getsockname()[1])

    def model_config(base_path: str, more: str = "") -> str:
        about = f'name: "{base_path}" base_path: "{folder}/{base_path}" model_platform: "tensorflow"'
        return f"model_config_list {{ config {{ {about} {more} }} }}\n"

    texts = {
        "missing": model_config("hp", "model_version_policy { specific { versions: [123, 9] } }"),
        "two": model_config("gone", f'}} config {{ name: "b" base_path: "{folder}/empty" model_platform: "tensorflow"'),
        "labels": model_config("hp", 'version_labels { key: "stable" value: 124 }'),
        "text": "model_config_list { confg {} }\n",
    }
    for name, text in texts.items():
        (folder / f"{name}.config").write_text(text)
    return folder


def tree(folder: Path) -> set[str]:
    """Everything in a folder but the log and the configuration that a start leaves to be read."""
    state = Path(".tfs-deploy")
    found = {path.relative_to(folder) for path in folder.rglob("*")}
    assert not {path for path in found if path.name == "server.json"}, "a record of a server that does not run"
    return {str(path) for path in found if path != state and state not in path.parents}


def check(bad: Bad, result: subprocess.CompletedProcess[str], **names: object) -> None:
    """Compare how a command ended and what it said."""
    error, hint = bad.error.format(**names), bad.hint.format(**names)
    assert result.returncode == bad.code, result.stdout + result.stderr
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    said, blank, advice = result.stderr.rstrip("\n").rpartition("\n\nhint: ")
    assert blank, f"no hint in {result.stderr}"
    last = said.splitlines()[-1]
    assert error in last
    assert hint in advice
    assert last.startswith("error: ") or re.match(r"\S+\.yaml:\d+: ", last)


@pytest.mark.parametrize("bad", MODELS_AND_FILES, ids=str)
def test_models_and_deployment_files(bad, deployments, ports, taken):
    before = tree(deployments)
    result = run(deployments, bad.command.split())
    check(bad, result, folder=deployments, busy=taken.getsockname()[1], me=os.getpid())
    assert tree(deployments) == before
    assert processes_in(deployments) == []
    assert all(is_free(port) for port in ports)
    with lock(deployments / ".tfs-deploy/shop", "a test"):
        pass


@pytest.mark.parametrize("bad", SERVE, ids=str)
def test_serve_refuses_at_once_what_it_would_wait_for(bad, deployments, ports, taken):
    before = tree(deployments)
    names = {"folder": deployments, "busy": taken.getsockname()[1]}
    flags = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", *bad.command.format(**names).split()]
    check(bad, run(deployments, ["serve", *flags]), **names)
    assert tree(deployments) == before
    assert processes_in(deployments) == []
    assert all(is_free(port) for port in ports)


def test_six_mistakes_are_six_lines(folder):
    (folder / "six.yaml").write_text(SIX_MISTAKES)
    before = tree(folder)
    for command in (["up", "six.yaml"], ["config", "six.yaml"], ["rollout", "start", "six.yaml", "--to", "124"]):
        result = run(folder, command)
        assert result.returncode == 2, result.stderr
        assert result.stdout == ""
        lines, _, hint = result.stderr.partition("\n\nhint: ")
        assert lines.splitlines() == [
            "six.yaml:2: servr: unknown key, did you mean 'server'?",
            "six.yaml:3: server.grpc_port: must be at most 65535, not 99999",
            "six.yaml:3: server.rest_port: must be a whole number, not the text 'abc'",
            "six.yaml:7: models[0].versions.specific: must list at least one",
            "six.yaml:9: models[0].traffic: weights must sum to 100, not 50",
            "six.yaml:9: models[0].traffic.stabel: no label 'stabel' in labels, did you mean 'stable'?",
        ]
        assert hint.startswith("correct the file, then check it with: tfs-deploy config six.yaml --check")
    assert tree(folder) == before


def test_six_mistakes_as_json(folder):
    (folder / "six.yaml").write_text(SIX_MISTAKES)
    result = run(folder, ["up", "six.yaml", "--json"])
    about = json.loads(result.stdout)["error"]
    assert (result.returncode, about["exit_code"], about["type"]) == (2, 2, "SpecError")
    assert [problem["line"] for problem in about["problems"]] == [2, 3, 3, 7, 9, 9]


@pytest.fixture(scope="module")
def served(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server with two models; addresses by transport."""
    folder = tmp_path_factory.mktemp("bad_input")
    about = [("hp", "saved_model_half_plus_two_2_versions"), ("zoo", "zoo")]
    configs = "".join(
        f'config {{ name: "{name}" base_path: "{models / path}" model_platform: "tensorflow" '
        "model_version_policy { all {} } }\n"
        for name, path in about
    )
    (folder / "models.config").write_text(f"model_config_list {{ {configs} }}\n")
    port, rest_port = free_ports(2)
    flags = [f"--port={port}", f"--rest_api_port={rest_port}", f"--model_config_file={folder / 'models.config'}"]
    with EmbeddedLauncher().start(flags, log_path=folder / "server.log") as server:
        with Client(server.grpc_address) as client:
            for name, _ in about:
                client.wait_ready(name)
        yield {"grpc": f"127.0.0.1:{port}", "rest": f"127.0.0.1:{rest_port}"}


@pytest.mark.parametrize("transport", ["grpc", "rest"])
@pytest.mark.parametrize("bad", REQUESTS, ids=str)
def test_requests(bad, transport, served, folder):
    (folder / "text.config").write_text("no numbers")
    before = tree(folder)
    line = ["predict", served[transport], *bad.command.split(), *(["--rest"] if transport == "rest" else [])]
    check(bad, run(folder, line), folder=folder)
    assert tree(folder) == before


def test_a_server_that_is_not_there(folder, ports):
    for more in ([], ["--rest"]):
        result = run(folder, ["predict", f"127.0.0.1:{ports[0]}", "hp", "-i", "x=1", *more])
        bad = Bad("", 3, "cannot reach 127.0.0.1:{port}: ", "is the server running at 127.0.0.1:{port}?")
        check(bad, result, port=ports[0])


def test_the_program_of_the_server_waits_as_the_original_does(folder, ports):
    """Only the command refuses: what is recorded of the original holds for ``python -m tfs_deploy.server``."""
    flags = [f"--port={ports[0]}", f"--model_base_path={folder}/empty", "--file_system_poll_wait_seconds=0"]
    command = [sys.executable, "-m", "tfs_deploy.server", *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        assert any("no version to serve" in line for line in process.stderr)
        assert process.poll() is None
    finally:
        process.terminate()
        process.communicate(timeout=300)
    assert is_free(ports[0])


@pytest.mark.parametrize(("value", "said"), [("false", False), ("true", True)])
def test_a_flag_without_meaning_is_mentioned_only_if_it_asks_for_something(value, said, folder, ports):
    flags = [f"--port={ports[0]}", f"--model_base_path={folder}/empty", f"--enable_profiler={value}"]
    command = [sys.executable, "-m", "tfs_deploy.server", *flags]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    lines = []
    try:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if "no version to serve" in line:
                break
    finally:
        process.terminate()
        process.communicate(timeout=300)
    assert any("enable_profiler" in line for line in lines) is said
