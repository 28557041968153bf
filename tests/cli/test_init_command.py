# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy init``: what it writes serves, and it neither asks nor replaces where it must not."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typing_extensions import Self

from support.forked_command import run_command
from support.live import free_ports, until
from tfs_deploy.client import Client
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.deployment.file.editor import schema_comment

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path, models) -> Path:
    shutil.copytree(models / "saved_model_half_plus_two_2_versions", tmp_path / "models/hp")
    return tmp_path


def init(place: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run_command("init", *arguments, cwd=place)


def written(done: subprocess.CompletedProcess[str], path: Path) -> str:
    assert done.returncode == 0, done.stderr
    checked = run_command("config", path.name, "--check", cwd=path.parent)
    assert checked.returncode == 0, checked.stderr
    return path.read_text()


def ports() -> list[object]:
    grpc, rest = free_ports(2)
    return ["--grpc-port", grpc, "--rest-port", rest]


def serves(path: Path, *, version: int) -> None:
    """Start the server of a file, and see that the label stable is answered by that version."""
    up = run_command("up", path.name, "--timeout", 120, cwd=path.parent)
    assert up.returncode == 0, up.stderr
    with Client(f"127.0.0.1:{load_deployment(path).server.grpc_port}") as client:
        assert client.metadata(load_deployment(path).models[0].name, label="stable").version == version


def stop(path: Path) -> None:
    assert run_command("down", path.name, cwd=path.parent).returncode == 0


def test_a_directory_of_versions_serves_and_so_does_what_is_learned_of_its_server(place):
    file, second = place / "hp.yaml", place / "second.yaml"
    text = written(init(place, "models/hp", *ports()), file)
    assert text.startswith(schema_comment(place) + "# Further keys: ")
    serves(file, version=124)
    try:
        address = f"127.0.0.1:{load_deployment(file).server.grpc_port}"
        done = init(place, address, "--model", "hp=models/hp", "--name", "second", *ports())
        text = written(done, second)
        assert "    versions: {specific: [124]}\n" in text
        assert "    labels: {stable: 124}\n" in text
        assert f"takes over, once the server at {address} is stopped" in text
        serves(second, version=124)
        stop(second)
    finally:
        stop(file)


def test_a_saved_model_is_put_into_a_base_path_and_serves(place):
    shutil.copytree(place / "models/hp/00000123", place / "exported")
    file = place / "exported.yaml"
    text = written(init(place, "exported", "--write-model", *ports()), file)
    assert "tfs-deploy publish" not in text
    serves(file, version=1)
    stop(file)


def test_a_models_config_serves(place):
    (place / "models.config").write_text(
        'model_config_list { config { name: "hp" base_path: "/models/hp" model_platform: "tensorflow" '
        'model_version_policy { specific { versions: 123 } } version_labels { key: "stable" value: 123 } } }'
    )
    file = place / "hp.yaml"
    written(init(place, "models.config", "--base-path-map", f"/models={place}/models", *ports()), file)
    serves(file, version=123)
    stop(file)


def test_a_keras_file_names_the_export_that_comes_first(place):
    (place / "net.keras").touch()
    done = init(place, "net.keras", "--out", "deploy/net.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "wrote deploy/net.yaml; next:\n  tfs-deploy export net.keras --to models/net\n"
        "  tfs-deploy config deploy/net.yaml --check\n  tfs-deploy up deploy/net.yaml\n"
    )
    (model,) = load_deployment(place / "deploy/net.yaml").models
    assert (model.base_path, model.version_policy.versions) == (place / "models/net", (1,))
    assert not (place / "models/net").exists()


def test_a_file_is_only_replaced_with_force(place):
    (place / "hp.yaml").write_text("mine")
    done = init(place)
    assert (done.returncode, (place / "hp.yaml").read_text()) == (2, "mine")
    assert done.stderr.startswith("error: hp.yaml exists\n")
    assert load_deployment(place / written_to(init(place, "--force"))).name == "hp"


def written_to(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stderr.partition("wrote ")[2].partition(";")[0]


def test_it_can_be_printed_and_as_json(place):
    text = init(place, "models/hp", "-o", "-").stdout
    document = json.loads(init(place, "models/hp", "-o", "-", "--json", "--target", "docker").stdout)
    assert text.startswith(schema_comment())
    assert document["written"] is None
    assert document["deployment"]["server"]["docker"] == {"image": "tensorflow/serving:2.19.1"}
    assert document["next"] == ["tfs-deploy config hp.yaml --check", "tfs-deploy up hp.yaml"]
    assert sorted(path.name for path in place.iterdir()) == ["models"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["models/hp", "--name", "a b"], "name: must be letters, digits, '_', '-' and '.', not the text 'a b'"),
        (["models/hp", "--grpc-port", "8501"], "server.rest_port: gRPC and REST cannot share port 8501"),
        (["models/hp", "--model", "a", "--model", "b"], "--model does not fit models/hp"),
        (["models/hp", "--model", "a="], "not a valid model: 'a='"),
        (["localhost:1"], "a server does not list its models"),
        (["nowhere"], "nowhere does not exist"),
        (["models/hp", "--label", "blue"], "--label does not fit models/hp"),
        (["models/hp", "--base-path-map", "/a=/b"], "--base-path-map does not fit models/hp"),
        (["models/hp", "--write-model"], "--write-model does not fit models/hp"),
        (["models/hp", "--image", "a:1", "--target", "embedded"], "--image does not fit --target embedded"),
    ],
)
def test_what_does_not_fit_leaves_nothing(place, arguments, message):
    done = init(place, *arguments)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr
    assert sorted(path.name for path in place.iterdir()) == ["models"]


def test_of_several_things_one_has_to_be_named(place):
    (place / "net.keras").touch()
    done = init(place)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "error: this directory holds models, net.keras\n\nhint: name one: tfs-deploy init models"
    )


class Terminal:
    """The command on a terminal of its own, which ends with the block."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._end)

    def __init__(self, place: Path, *arguments: str) -> None:
        self._end, theirs = pty.openpty()
        line = [sys.executable, "-m", "tfs_deploy", "init", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb"}
        self.process = subprocess.Popen(line, cwd=place, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
        os.close(theirs)
        self.seen = ""

    def expect(self, text: str) -> None:
        def read() -> bool:
            if text not in self.seen and select.select([self._end], [], [], 1)[0]:
                self.seen += os.read(self._end, 4096).decode()
            return text in self.seen

        until(read, 60)

    def answer(self, question: str, text: str) -> None:
        self.expect(question)
        os.write(self._end, f"{text}\n".encode())


def test_on_a_terminal_it_asks(place):
    with Terminal(place, "models/hp", "--rest-port", "0") as terminal:
        terminal.answer("Name of the deployment [hp]: ", "shop")
        terminal.answer("What serves the models (embedded, docker) [embedded]: ", "docker")
        terminal.answer("Image of the container [tensorflow/serving:2.19.1]: ", "")
        terminal.answer("gRPC port [8500]: ", "9000")
        terminal.expect("wrote shop.yaml")
        assert terminal.process.wait(60) == 0
    server = load_deployment(place / "shop.yaml").server
    assert (server.target, server.grpc_port, server.rest_port) == ("docker", 9000, 0)


def test_on_a_terminal_one_of_several_things_is_chosen(place):
    (place / "net.keras").touch()
    with Terminal(place, "--name", "shop", "--target", "embedded", "--grpc-port", "1", "--rest-port", "0") as terminal:
        terminal.answer("What is to be served (models, net.keras): ", "net.keras")
        terminal.answer("Write the model into models/net/1 now [Y/n]: ", "n")
        terminal.expect("tfs-deploy up shop.yaml")
        assert terminal.process.wait(60) == 0
    assert load_deployment(place / "shop.yaml").models[0].name == "net"


def test_ctrl_c_at_a_question_leaves_nothing(place):
    with Terminal(place, "models/hp") as terminal:
        terminal.answer("Name of the deployment [hp]: ", "shop")
        terminal.expect("What serves the models")
        terminal.process.send_signal(signal.SIGINT)
        terminal.expect("interrupted")
        assert terminal.process.wait(60) == 130
    assert sorted(path.name for path in place.iterdir()) == ["models"]


def test_an_image_that_is_older_than_the_model_is_said_with_what_to_do(place):
    shutil.copytree(Path(__file__).parents[1] / "data/verify/plain", place / "models/new")
    done = init(place, "models/new", "-o", "-", "--target", "docker", "--image", "tensorflow/serving:2.9.0")
    assert "is newer than tensorflow/serving:2.9.0: name an image of 2." in done.stderr
    assert "tfs-deploy verify models/new --image tensorflow/serving:2.9.0" in done.stdout
