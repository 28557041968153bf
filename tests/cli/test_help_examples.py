# SPDX-License-Identifier: Apache-2.0
"""Every example in the help of a command runs as printed, in one folder: models/digits, digits.yaml, digit.npy."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

from support import object_stores
from support.commands import EVERY_COMMAND
from support.live import free_ports, is_open, until
from support.signing import write_key
from tfs_deploy.cli.main import run
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.rollout.begin import latest_rollout
from tfs_deploy.state.lock import rollout_holder

ROOT = Path(__file__).parents[2]
EXAMPLES = {line for command in EVERY_COMMAND.values() for line in command.examples}
#: what takes long and is run elsewhere -> the text there: tests/e2e/test_readme.py runs the lines of the README
ELSEWHERE = {
    "tfs-deploy demo": ("tests/e2e/test_demo.py", 'run("demo", "--json", "--bake", "1"'),
    "tfs-deploy demo --dir try-it --bake 1": ("tests/e2e/test_demo.py", 'run("demo", "--json", "--bake", "1"'),
    "tfs-deploy verify models/digits/2 --baseline 1 --load 1 --report verified": (
        "README.md",
        "tfs-deploy verify models/digits/2 --baseline 1 --load 1 --report verified",
    ),
    "tfs-deploy publish new/digits --to oci://registry.example.com/models/digits": (
        "docs/storage.md",
        "tfs-deploy publish new/digits --to oci://localhost:5000/models/digits",
    ),
    "tfs-deploy pull mlflow:models/digits@champion --to models/digits": (
        "tests/contract/store_places/test_mlflow_place.py",
        'call("pull", "mlflow:models/digits@champion", "--to", tmp_path / "models/digits")',
    ),
}
#: options that make an example short, behind its own
SHORTER = {"rollout start": ["--steps", "100", "--bake", "500ms", "--check-every", "500ms"]}

TRAIN = """
import tensorflow as tf

class Digits(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8], tf.float32, name="image")])
    def serving_default(self, image):
        return {"probabilities": tf.nn.softmax(tf.reduce_mean(image, axis=1))}

model = Digits()
"""


class Place:
    """The folder that all examples are written for; ports are free ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "digits.yaml"
        self.ports = dict(zip(("8500", "8501"), map(str, free_ports(2)), strict=True))
        self.ran: set[str] = set()
        self.write()

    def write(self, **server: object) -> None:
        """Write the deployment file."""
        grpc, rest = map(int, self.ports.values())
        model = {"name": "digits", "base_path": "models/digits", "versions": {"specific": [1]}}
        document = {
            "name": "digits",
            "server": {"grpc_port": grpc, "rest_port": rest, **server},
            "models": [{**model, "labels": {"stable": 1}, "traffic": {"stable": 100}}],
        }
        self.file.write_text(yaml.safe_dump(document, sort_keys=False))

    def words(self, line: str) -> list[str]:
        for usual, free in self.ports.items():
            line = line.replace(f"localhost:{usual}", f"localhost:{free}")
        words = shlex.split(line.replace("$PWD", str(self.folder)))[1:]
        return [*words, *SHORTER.get(" ".join(words[:2]), [])]

    def background(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "tfs_deploy", *words], cwd=self.folder, stderr=subprocess.DEVNULL
        )


def save_models(folder: Path) -> None:
    """Write what commands are given: two versions, a Keras model, a frozen graph."""
    import keras
    import tensorflow as tf

    from tfs_deploy.export import export_model

    names: dict[str, object] = {}
    exec((folder / "train.py").read_text(), names)
    for number in (1, 2):
        examples = {"serving_default": {"image": np.full((1, 8, 8), 0.5, np.float32)}}
        export_model(names["model"], folder / "models/digits", version=number, examples=examples, check=False)
    keras.Sequential([keras.Input((8, 8), name="image"), keras.layers.Flatten()]).save(folder / "model.keras")
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None], name="x")
        tf.add(x, 1.0, name="y")
    (folder / "graph.pb").write_bytes(graph.as_graph_def().SerializeToString())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("examples")
    (folder / "train.py").write_text(TRAIN)
    shutil.copy(ROOT / "configs/policy.yaml", folder)
    save_models(folder)
    shutil.copytree(folder / "models/digits/2", folder / "new/digits/1")
    write_key(folder, "sign")[0].rename(folder / "sign.pem")
    np.save(folder / "digit.npy", np.full((1, 8, 8), 0.5, np.float32))
    (folder / "digit.json").write_text(str(np.full((8, 8), 0.5).tolist()))
    yield Place(folder)
    sys.modules.pop("train", None)


def ports_of(place: Place, name: str) -> None:
    """Give a file that was written for the usual ports those of the place."""
    path = place.folder / name
    text = path.read_text()
    for usual, free in place.ports.items():
        text = text.replace(f"_port: {usual}", f"_port: {free}")
    path.write_text(text)


@pytest.fixture
def example(place, monkeypatch, capsys):
    """Run an example, or several, and expect exit code 0."""
    monkeypatch.chdir(place.folder)

    def run_it(*lines: str, codes: tuple[int, ...] = (0,)) -> None:
        for line in lines:
            place.ran.add(line)
            code = run(place.words(line))
            shown = capsys.readouterr()
            assert code in codes, f"{line}\n{shown.out}{shown.err}"

    return run_it


def test_examples_that_need_files_only(example):
    example(
        "tfs-deploy config digits.yaml",
        "tfs-deploy config digits.yaml --check --strict",
        "tfs-deploy config digits.yaml --out served",
    )
    shutil.copy("served/models.config", "models.config")
    example(
        "tfs-deploy init models/digits --out first.yaml",
        "tfs-deploy init models.config --out -",
        "tfs-deploy config import models.config",
        "tfs-deploy config import models.config --name digits --out imported.yaml",
        "tfs-deploy config import models.config --base-path-map /models=/srv/models",
        "tfs-deploy inspect models/digits",
        "tfs-deploy inspect models/digits/2 --check --no-requests",
        "tfs-deploy lint models/digits",
        "tfs-deploy lint models/digits/2 --fail-on warning --json",
        "tfs-deploy lint models/digits --policy policy.yaml",
        "tfs-deploy lint --rules",
        "tfs-deploy diff models/digits/1 models/digits/2",
        "tfs-deploy diff models/digits --baseline 1",
        "tfs-deploy diff models/digits/1 models/digits/2 --json",
    )


def test_examples_of_completion(example, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "ZDOTDIR"):
        monkeypatch.delenv(name, raising=False)
    example(*EVERY_COMMAND["completion"].examples)
    assert (tmp_path / ".bashrc").exists()


@pytest.mark.parametrize("line", EVERY_COMMAND["doctor"].examples)
def test_examples_of_doctor(place, line):
    place.ran.add(line)
    with place.background(*place.words(line)) as process:
        # the machine that runs the tests may have problems of its own
        assert process.wait(100) in (0, 1)


def test_examples_of_a_container(example, place):
    place.write(target="docker", docker={"image": "tensorflow/serving:99.0.0"})
    example("tfs-deploy render compose digits.yaml", "tfs-deploy render dockerfile digits.yaml --out image")
    place.write()


def test_examples_that_run_models(example, place):
    example(
        "tfs-deploy run models/digits -i image=@digit.npy",
        "tfs-deploy run models/digits --version 1 -i image=@digit.npy -o digit.npz",
        "tfs-deploy verify models/digits --report verified",
        # the version in new/digits is the one that was verified
        "tfs-deploy publish new/digits --to models/digits --require-verdict verified",
        "tfs-deploy publish new/digits --to models/digits --sign sign.pem",
        "tfs-deploy publish new/digits --to models/digits",
        "tfs-deploy export model.keras --to models/digits",
        "tfs-deploy export train:model --to models/digits --keep 5",
        "tfs-deploy export graph.pb --to models/tf -s 'serving_default(x=x:0) -> y=y:0'",
    )
    example("tfs-deploy init model.keras --model keras --write-model --out keras.yaml")
    ports_of(place, "keras.yaml")
    assert run(["up", "keras.yaml", "--quiet"]) == 0
    assert run(["down", "keras.yaml", "--quiet"]) == 0
    for number in range(3, 8):
        shutil.rmtree(f"models/digits/{number}")


def test_examples_with_a_store(example, place, tmp_path_factory, monkeypatch):
    with object_stores.moto(tmp_path_factory.mktemp("moto")) as store:
        for key, value in store.environment.items():
            monkeypatch.setenv(key, value)
        example(
            "tfs-deploy publish new/digits --to s3://models/digits --keep 5",
            "tfs-deploy publish --to s3://models/digits --clean",
        )
        assert run(["publish", "new/digits", "--to", "s3://models/digits", "--version", "7", "--quiet"]) == 0
        example(
            "tfs-deploy pull s3://models/digits --to models/digits",
            "tfs-deploy pull s3://models/digits --to models/digits --version 7",
        )
        shutil.rmtree("models/digits/7")
        document = yaml.safe_load(place.file.read_text())
        document["models"][0] |= {"store": "s3://models/digits", "versions": {"specific": [1, 8]}}
        place.file.write_text(yaml.safe_dump(document))
        example("tfs-deploy pull digits.yaml")
        line = "tfs-deploy pull digits.yaml --follow --every 10s --keep 3"
        place.ran.add(line)
        with place.background(*place.words(line), "--json") as follower:
            assert run(["publish", "new/digits", "--to", "s3://models/digits", "--version", "8", "--quiet"]) == 0
            until(Path("models/digits/8").exists, 60)
            follower.send_signal(signal.SIGTERM)
            assert follower.wait(60) == 0
        shutil.rmtree("models/digits/8")
    place.write()


@pytest.mark.parametrize("line", EVERY_COMMAND["serve"].examples)
def test_examples_of_a_server_in_the_foreground(place, line):
    (place.folder / "models.config").write_text(
        f'model_config_list {{ config {{ name: "digits" base_path: "{place.folder}/models/digits" '
        'model_platform: "tensorflow" } }'
    )
    place.ran.add(line)
    port, rest_port = free_ports(2)
    words = [*place.words(line), f"--port={port}", f"--rest_api_port={rest_port}"]
    with place.background(*words) as server:
        try:
            until(lambda: is_open(rest_port) or server.poll() is not None, 60)
            server.send_signal(signal.SIGINT)
            assert server.wait(60) in (0, 130)
        finally:
            server.kill()


@pytest.fixture(scope="module")
def served(place) -> Iterator[Place]:
    """The deployment, with its server running."""
    yield place
    run(["down", str(place.file), "--quiet"])


def test_examples_with_a_server(example, served):
    example(
        "tfs-deploy up digits.yaml",
        "tfs-deploy up digits.yaml --timeout 300",
        "tfs-deploy plan digits.yaml",
        "tfs-deploy plan digits.yaml --detailed-exitcode",
        "tfs-deploy status digits.yaml",
        "tfs-deploy status digits.yaml --json",
        "tfs-deploy stats digits.yaml",
        "tfs-deploy stats digits.yaml --json",
        "tfs-deploy logs digits.yaml",
        "tfs-deploy logs digits.yaml --lines 200",
        "tfs-deploy predict localhost:8500 digits -i image=@digit.npy --label stable",
        "tfs-deploy predict localhost:8501 digits -i image=@digit.json --rest --json",
        "tfs-deploy init localhost:8500 --model digits=models/digits --out running.yaml",
        "tfs-deploy smoke digits.yaml",
        "tfs-deploy smoke digits.yaml --label stable --textfile digits.prom",
        "tfs-deploy restart digits.yaml",
        "tfs-deploy restart digits.yaml --timeout 300",
        "tfs-deploy lock status digits.yaml",
        "tfs-deploy lock status digits.yaml --json",
    )


@contextlib.contextmanager
def in_a_step(place: Place, bake: str, *, to: int = 2) -> Iterator[subprocess.Popen[str]]:
    """A rollout in another process, which has reached its one step."""
    words = [
        "rollout",
        "start",
        "digits.yaml",
        "--to",
        str(to),
        "--steps",
        "100",
        "--bake",
        bake,
        "--check-every",
        "500ms",
    ]
    state_dir = load_deployment(place.file).state_dir

    def reached() -> bool:
        last = latest_rollout(state_dir, "digits")
        return last is not None and last.unfinished and last.history.phase == "step"

    with place.background(*words) as process:
        try:
            until(lambda: reached() and rollout_holder(state_dir, "digits") is not None, 60)
            yield process
            process.wait(60)
        finally:
            process.kill()


def test_examples_of_rollouts(example, served):
    example("tfs-deploy up digits.yaml")
    example(
        "tfs-deploy rollout plan digits.yaml",
        "tfs-deploy rollout plan digits.yaml --to 2 --strategy blue-green --json",
        "tfs-deploy rollout start digits.yaml",
        "tfs-deploy rollback digits.yaml",
        "tfs-deploy rollout start digits.yaml --to 2 --steps 10,50,100 --bake 5m",
        "tfs-deploy rollout status digits.yaml",
        "tfs-deploy rollout status digits.yaml --watch",
        "tfs-deploy rollout history digits.yaml",
        "tfs-deploy rollout history digits.yaml --json",
        "tfs-deploy rollout report digits.yaml",
        "tfs-deploy rollout report digits.yaml --html report.html",
        "tfs-deploy rollback digits.yaml --to 1 --keep-old",
        "tfs-deploy rollout start digits.yaml --to 2 --bake 5m",
        "tfs-deploy rollback digits.yaml",
    )


def test_examples_of_paused_rollouts(example, served):
    example("tfs-deploy up digits.yaml")
    with in_a_step(served, "2s"):
        example("tfs-deploy rollout pause digits.yaml")
    example("tfs-deploy rollout resume digits.yaml")
    with in_a_step(served, "2s", to=1):
        example("tfs-deploy rollout pause digits.yaml --timeout 10")
    example("tfs-deploy rollout resume digits.yaml --wait-lock 1m")


def test_examples_of_rollouts_that_are_aborted(example, served):
    example("tfs-deploy up digits.yaml")
    with in_a_step(served, "1h"):
        example("tfs-deploy lock release digits.yaml")
    example("tfs-deploy rollout abort digits.yaml")
    with in_a_step(served, "1h"):
        example("tfs-deploy lock release digits.yaml --json")
    example("tfs-deploy rollout abort digits.yaml --timeout 10")


def test_examples_of_rollouts_that_wait_for_approval(example, served):
    example("tfs-deploy up digits.yaml")
    for promote in ("tfs-deploy rollout promote digits.yaml", "tfs-deploy rollout promote digits.yaml --skip-steps"):
        example("tfs-deploy rollout start digits.yaml --to 2 --manual", codes=(1,))
        example(promote, "tfs-deploy rollback digits.yaml")


def test_examples_that_stop_the_server(example, served):
    example("tfs-deploy down digits.yaml", "tfs-deploy down digits.yaml --timeout 60")


def test_every_example_was_run(place):
    if not place.ran:
        pytest.skip("the tests before this one were left out")
    assert EXAMPLES - place.ran == set(ELSEWHERE)
    for file, text in ELSEWHERE.values():
        assert text in (ROOT / file).read_text()
