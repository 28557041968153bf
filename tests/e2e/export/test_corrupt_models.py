# SPDX-License-Identifier: Apache-2.0
"""Damaged models through everything that reads one: an error that names the file, no crash, hang or runaway memory."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import tfs_deploy as td
from support.live import free_ports, until
from tfs_deploy.cli.main import run
from tfs_deploy.errors import StatusError, UnknownError
from tfs_deploy.launch import EmbeddedLauncher, RunningServer

GRAPH, INDEX, DATA = "saved_model.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"
SOURCES = ["saved_model_half_plus_two_cpu/00000123", "saved_model_half_plus_two_tf2_cpu/00000123", "zoo/1"]
#: what the fuzzed models of all consumers together may hold in memory, MB
MOST_MEMORY = 1200


def flip(data: bytes, dice: random.Random, count: int) -> bytes:
    changed = bytearray(data)
    for _ in range(count):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def mutate(data: bytes, dice: random.Random) -> bytes:
    """Cut, flip, overwrite, remove, insert or move some bytes."""
    changed = bytearray(data)
    kind, start, other = dice.randrange(6), dice.randrange(len(data)), dice.randrange(len(data))
    if kind == 0:
        del changed[start:]
    elif kind == 1:
        return flip(data, dice, dice.choice([1, 3, 50]))
    elif kind == 2:
        changed[start : start + dice.choice([1, 8])] = dice.choice([b"\x00", b"\x7f", b"\x80", b"\xff"])
    elif kind == 3:
        del changed[start : start + dice.randrange(1, 60)]
    elif kind == 4:
        changed[start:start] = changed[other : other + dice.randrange(1, 200)]
    else:
        changed[start : start + dice.randrange(200)] = changed[other : other + dice.randrange(200)]
    return bytes(changed)


#: file -> what happens to it; nothing if it goes
DAMAGES: dict[str, tuple[str, Callable[[bytes], bytes] | None]] = {
    "graph cut": (GRAPH, lambda data: data[: len(data) // 2]),
    "graph empty": (GRAPH, lambda data: b""),
    "graph gone": (GRAPH, None),
    "index cut": (INDEX, lambda data: data[: len(data) // 2]),
    "index empty": (INDEX, lambda data: b""),
    "index gone": (INDEX, None),
    "index flipped": (INDEX, lambda data: flip(data, random.Random(3), 20)),
    "data cut": (DATA, lambda data: data[: len(data) // 2]),
    "data empty": (DATA, lambda data: b""),
    "data gone": (DATA, None),
    "a bit of the data": (DATA, lambda data: flip(data, random.Random(4), 1)),
}


def damaged(source: Path, target: Path, damage: str) -> str:
    """Copy a model with a damage and return the file's name."""
    name, change = DAMAGES[damage]
    shutil.copytree(source, target)
    file = target / name
    data = file.read_bytes()
    file.unlink()
    if change is not None:
        file.write_bytes(change(data))
    return file.name


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_command_names_the_damaged_file(damage, models, tmp_path, capsys) -> None:
    good, bad = models / SOURCES[1], tmp_path / "base" / "2"
    name = damaged(good, bad, damage)
    commands = {
        "inspect": ["inspect", bad],
        "lint": ["lint", bad],
        "diff": ["diff", good, bad],
        "the other way": ["diff", bad, good],
        "export": ["export", bad, "--to", tmp_path / "out"],
        "run": ["run", bad, "-i", "x=[1.0]"],
    }
    for command, arguments in commands.items():
        code = run([*map(str, arguments)])
        said = "".join(capsys.readouterr())
        assert code in (1, 2), (command, code, said)
        assert name in said, (command, said)
        assert "hint: " in said, (command, said)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def server(models: Path, tmp_path: Path) -> Iterator[RunningServer]:
    grpc_port, rest_port = free_ports(2)
    flags = [
        *(f"--port={grpc_port}", f"--rest_api_port={rest_port}", "--max_num_load_retries=0"),
        *("--model_name=good", f"--model_base_path={models / 'saved_model_half_plus_two_cpu'}"),
    ]
    server = EmbeddedLauncher().start(flags, log_path=tmp_path / "log")
    yield server
    server.stop()


def serve(client: td.Client, models: Path, bases: dict[str, Path]) -> None:
    served = {"good": models / "saved_model_half_plus_two_cpu", **bases}
    configs = "".join(
        f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" '
        "model_version_policy { all {} } }"
        for name, base in served.items()
    )
    with contextlib.suppress(UnknownError):  # it says that some model did not become available, as the original does
        client.reload(f"model_config_list {{ {configs} }}", timeout=120)


def test_the_server_survives_damaged_models(server: RunningServer, models: Path, tmp_path: Path) -> None:
    bases = {}
    for damage in DAMAGES:
        bases[damage.replace(" ", "-")] = tmp_path / "models" / damage.replace(" ", "-")
        damaged(models / SOURCES[1], bases[damage.replace(" ", "-")] / "1", damage)
    with td.Client(server.grpc_address) as client:
        client.wait_ready("good")
        serve(client, models, bases)
        for name, base in bases.items():
            (state,) = until(lambda name=name: settled(client, name))
            if state.state == "AVAILABLE":  # without an index the original loads it, too, and fails at each request
                assert name == "index-gone"
                with pytest.raises(StatusError):
                    client.predict(name, {"x": np.float32([1.0])})
            else:
                assert state.message  # the original's own words, which do not always name the file; the log does
                log = server.log_path.read_text()
                assert f"loading {name} version 1 from {base}/1" in log
                assert f"loading {name} version 1 failed: " in log
        assert client.predict("good", {"x": np.float32([2.0])})["y"].tolist() == [3.0]


def settled(client: td.Client, name: str) -> list[td.VersionStatus]:
    """Return the states of all versions once each is loaded or has failed."""
    states = client.status(name)
    return states if all(each.state in ("AVAILABLE", "END") for each in states) else []


#: runs fuzzed graphs through the tools, the exporter's copy and LocalModel; prints each result and the memory at last
CONSUMER = """
import random, shutil, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1]]
import numpy as np
import tfs_deploy as td
from test_corrupt_models import GRAPH, mutate
from tfs_deploy.cli.commands.inspect import render
from tfs_deploy.errors import ModelError, StatusError, TfsDeployError
from tfs_deploy.savedmodel.contract import describe_diff, diff_models
from tfs_deploy.savedmodel.describe import describe
from tfs_deploy.savedmodel.lint import lint_model
source, folder, seed, count = Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
shutil.copytree(source, folder / "1")
good, data, file = td.inspect_model(source), (source / GRAPH).read_bytes(), folder / "1" / GRAPH

def inspected():
    info = td.inspect_model(folder / "1")
    assert render(describe(info)) and lint_model(info) is not None and describe_diff(diff_models(good, info))

def loaded():
    with td.load_model(folder / "1") as model:
        for name, info in model.signatures.items():
            if any(" " in spec.dtype for spec in info.inputs.values()):
                continue  # no dtype that exists
            inputs = {key: np.ones([2 if size is None else min(size, 9) for size in spec.shape or ()]).astype(
                object if spec.dtype == "string" else spec.dtype) for key, spec in info.inputs.items()}
            try:
                model.predict(inputs, name, timeout=10)
            except TfsDeployError:
                pass

def exported():
    td.export_model(folder / "1", folder / "out", check=False)

for number in range(count):
    file.write_bytes(mutate(data, random.Random(f"{seed} {number}")))
    for consumer in (inspected, loaded, exported):
        print(number, consumer.__name__, flush=True)
        try:
            consumer()
            print("fine")
        except TfsDeployError as error:
            assert str(file) in error.message or str(folder / "1") in error.message or error.hint, error
            print("refused:", error.message)
assert all(path.name.isdecimal() for path in (folder / "out").glob("*"))
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""


def consume(source: Path, folder: Path, seed: int, count: int) -> None:
    folder.mkdir()
    arguments = [Path(__file__).parent, source, folder, seed, count]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CONSUMER), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=160,
        env=environment,
        check=False,
    )
    lines = result.stdout.splitlines()
    assert result.returncode == 0, (seed, lines[-1:], result.returncode, result.stderr[-2000:])
    assert sum(line.startswith("refused") for line in lines) > count
    assert int(lines[-1]) // 1024 < MOST_MEMORY


def test_fuzzed_graphs(models: Path, tmp_path: Path) -> None:
    consume(models / SOURCES[0], tmp_path / "fuzzed", 1, 40)


@pytest.mark.full
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("source", SOURCES)
def test_many_fuzzed_graphs(source: str, seed: int, models: Path, tmp_path: Path) -> None:
    consume(models / source, tmp_path / "fuzzed", 100 + seed, 200)


def fuzz_a_server(server: RunningServer, models: Path, base: Path, count: int) -> None:
    """Have a server load many fuzzed versions; every one ends, and the good model is served all the while."""
    dice = random.Random(count)
    data = (models / SOURCES[1] / GRAPH).read_bytes()
    for number in range(1, count + 1):
        shutil.copytree(models / SOURCES[1], base / str(number))
        (base / str(number) / GRAPH).write_bytes(mutate(data, dice))
    with td.Client(server.grpc_address) as client:
        client.wait_ready("good")
        serve(client, models, {"fuzzed": base})
        states = until(lambda: settled(client, "fuzzed"), 120)
        assert len(states) == count
        failed = [state for state in states if state.state == "END"]
        assert len(failed) > count // 2
        assert all(state.message for state in failed)
        assert client.predict("good", {"x": np.float32([2.0])})["y"].tolist() == [3.0]


def test_a_server_of_fuzzed_versions(server: RunningServer, models: Path, tmp_path: Path) -> None:
    fuzz_a_server(server, models, tmp_path / "fuzzed", 40)


@pytest.mark.full
def test_a_server_of_many_fuzzed_versions(server: RunningServer, models: Path, tmp_path: Path) -> None:
    fuzz_a_server(server, models, tmp_path / "fuzzed", 200)
