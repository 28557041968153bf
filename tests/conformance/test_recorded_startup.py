# SPDX-License-Identifier: Apache-2.0
"""Recorded starts: the same flags start a server, leave it waiting for a model, or end it with the same reason."""

from __future__ import annotations

import json
import shutil
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.forked_command import ForkedProcess, start_server
from support.live import free_ports, is_open

RECORDED = Path(__file__).parent / "recorded" / "startup"
#: not about how a start ends: they are replayed elsewhere, or are about signals
ELSEWHERE = ("059", "060", "062", "063")
START_SECONDS = 300.0
#: what a server that waits for a model says after a while
WAITING = ("(no version)", "more attempts")

MODEL = 'name: "m" model_platform: "tensorflow"'
CPU = "saved_model_half_plus_two_cpu"
TWO = "saved_model_half_plus_two_2_versions"
BATCHING = "max_batch_size { value: 8 } "

#: name under /run/w -> content, with MODELS and WORK in the place of directories
FILES = {
    "n2": f'config {{ {MODEL} base_path: "MODELS/{CPU}" }} '
    f'config {{ name: "three" model_platform: "tensorflow" base_path: "MODELS/saved_model_half_plus_three" }}',
    "gb": f'config {{ {MODEL} base_path: "MODELS/{CPU}" }} '
    'config { name: "br" model_platform: "tensorflow" base_path: "WORK/sb" }',
    "uf": f'config {{ {MODEL} base_path: "MODELS/{CPU}" nosuch: 1 }}',
    "rb": f'config {{ {MODEL} base_path: "models/zoo" }}',
    "dm": f'config {{ {MODEL} base_path: "MODELS/{CPU}" }} ' * 2,
    "np": f'config {{ name: "m" base_path: "MODELS/{CPU}" }}',
    "up": f'config {{ name: "m" model_platform: "pytorch" base_path: "MODELS/{CPU}" }}',
    "el": "",
    "lb": f'config {{ {MODEL} base_path: "MODELS/{CPU}" version_labels {{ key: "a" value: 123 }} }}',
    "lb2": f'config {{ {MODEL} base_path: "MODELS/{CPU}" version_labels {{ key: "a" value: 123 }} }}',
    "lb3": f'config {{ {MODEL} base_path: "MODELS/{CPU}" version_labels {{ key: "a" value: 999 }} }}',
    "sv": f'config {{ {MODEL} base_path: "MODELS/{TWO}" model_version_policy {{ specific {{ versions: 999 }} }} }}',
    "sv2": f'config {{ {MODEL} base_path: "MODELS/{TWO}" '
    "model_version_policy { specific { versions: 123 versions: 999 } } }",
    "bb": f'config {{ {MODEL} base_path: "MODELS/{CPU}" }}',
}
PLAIN_FILES = {
    "bad": "improperly formatted",
    "empty": "",
    "bp": BATCHING,
    "bp2": BATCHING,
    "bp3": "max_batch_size: 4",
    "bp4": BATCHING + "allowed_batch_sizes: 2 allowed_batch_sizes: 4",
    "mo": "improperly formatted",
    "ss": 'server_key: "no key" server_cert: "no certificate"',
    "tc": "nosuch: 1",
    "pc": "improperly formatted",
}

#: what is another way here, and why
DIFFERENT = {
    "030_unknown_flag": ("exits", "an unknown flag is an error: a misspelt one would be lost"),
    "031_positional_argument": ("exits", "as an unknown flag"),
    "036_flag_with_space": ("up", "--flag value is understood too"),
    "037_single_dash_flag": ("exits", "as an unknown flag"),
    "041_rest_port_in_use": ("exits", "a server without the REST port that was asked for helps nobody"),
    "048_monitoring_config_bad": ("exits", "a bad file is said at once; the original goes on without REST"),
    "049_monitoring_config_missing": ("exits", "as a bad file"),
    "061_two_servers_same_grpc_port": ("exits", "two servers on one port answer by turns"),
}


@dataclass
class Outcome:
    kind: str
    code: int | None
    text: str


def cases() -> list[str]:
    return sorted(path.stem for path in RECORDED.glob("*.json") if not path.stem.startswith(ELSEWHERE))


def expected_kind(name: str, case: dict[str, object]) -> str:
    if name in DIFFERENT:
        return DIFFERENT[name][0]
    if case.get("exit_code") is not None:
        return "exits"
    # the server that was watched opened its ports, or was watched in vain; without REST only one of them can open
    return "up" if case["up_after_s"] is not None or name.startswith("038") else "waits"


def make_files(work: Path, models: Path) -> None:
    for name, content in FILES.items():
        text = f"model_config_list {{ {content} }}".replace("MODELS", str(models)).replace("WORK", str(work))
        (work / name).write_text(text)
    for name, content in PLAIN_FILES.items():
        (work / name).write_text(content)
    (work / "se").mkdir()
    shutil.copytree(models / "zoo" / "1", work / "sb" / "1")
    (work / "sb" / "1" / "saved_model.pb").write_bytes(b"garbage")


def begin(name: str, work: Path, models: Path) -> Outcome:
    case = json.loads((RECORDED / f"{name}.json").read_text())
    grpc_port, rest_port = pair = free_ports(2)
    ports = {"18600": str(grpc_port), "18601": str(rest_port), "18602": str(rest_port)}
    flags = [flag.replace("/models/", f"{models}/").replace("/run/w", str(work)) for flag in case["server_args"]]
    for there, here in ports.items():
        flags = [flag.replace(f"port={there}", f"port={here}") for flag in flags]
    occupied = []
    for port, prefix in zip(pair, ("042 061", "041"), strict=True):
        if name.startswith(tuple(prefix.split())):
            occupied.append(socket.create_server(("0.0.0.0", port)))
    watched = [grpc_port] if any(part in name for part in ("same_as_grpc", "port_zero")) else [grpc_port, rest_port]
    log = work / f"{name}.log"
    with log.open("wb") as output:
        process = start_server(["--exit_with_parent", *flags], output)
    try:
        kind = watch(process, log, [] if "grpc_port_zero" in name else watched)
    finally:
        process.terminate()
        process.wait(100)
        for holder in occupied:
            holder.close()
    return Outcome(kind, process.returncode if kind == "exits" else None, log.read_text())


def watch(process: ForkedProcess, log: Path, ports: list[int]) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return "exits"
        if ports and all(is_open(port) for port in ports):
            return "up"
        if any(text in log.read_text() for text in WAITING):
            return "waits"
        time.sleep(0.05)
    return "neither"


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, models: Path) -> dict[str, Outcome]:
    work = tmp_path_factory.mktemp("startup")
    make_files(work, models)
    with ThreadPoolExecutor(3) as pool:
        started = {name: pool.submit(begin, name, work, models) for name in cases()}
        return {name: future.result() for name, future in started.items()}


@pytest.mark.parametrize("name", cases())
def test_recorded_startup(name: str, outcomes: dict[str, Outcome], tmp_path_factory: pytest.TempPathFactory) -> None:
    case = json.loads((RECORDED / f"{name}.json").read_text())
    outcome = outcomes[name]
    assert outcome.kind == expected_kind(name, case), outcome.text
    if outcome.kind != "exits":
        return
    zero = case.get("exit_code") == 0
    assert (outcome.code == 0) is zero, outcome.text
    if zero:
        return
    errors = [line for line in outcome.text.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, outcome.text
    assert "Traceback" not in outcome.text
    # what the server says of models it says in the same words; files and flags are named in better ones
    reasons = [
        line for line in case.get("stdout_and_stderr", "").splitlines() if "Failed to start server. Error: " in line
    ]
    if reasons and any(word in reasons[0] for word in ("servable(s)", "model m", "Model m", "model name is m")):
        assert reasons[0].partition("Error: ")[2] in errors[0]
