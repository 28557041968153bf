# SPDX-License-Identifier: Apache-2.0
"""The recorded requests replayed on a server that runs already: ``--tfs-address`` says what differs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Server

HERE = Path(__file__).parent
CASES = ["test_recorded_rest.py", "test_recorded_grpc.py", "test_recorded_state.py"]


def replay(address: str, only: str) -> tuple[int, str]:
    """Replay cases whose names fit; pytest's exit code and what it prints."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        *(str(HERE / name) for name in CASES),
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
    ]
    result = subprocess.run(
        [*command, "-k", only, f"--tfs-address={address}"],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=HERE.parents[1],
    )
    return result.returncode, result.stdout


def test_a_server_that_answers_as_recorded(start_recorded: Callable[..., Server]) -> None:
    server = start_recorded()
    code, said = replay(f"{server.host}:{server.grpc_port}/{server.rest_port}", "predict or metadata")
    assert code == 0, said
    assert int(re.search(r"(\d+) passed", said)[1]) > 40


def test_a_server_that_differs(start_server: Callable[..., Server], models: Path) -> None:
    other = start_server("--model_name=half_plus_two", f"--model_base_path={models / 'saved_model_half_plus_three'}")
    code, said = replay(f"{other.host}:{other.grpc_port}/{other.rest_port}", "predict_ok or 001")
    assert code == 1
    assert re.search(r"FAILED .*::test_recorded_grpc\[001_predict_ok\]", said)


@pytest.mark.parametrize("address", ["localhost", "localhost:8500/x"])
def test_no_address(address: str) -> None:
    code, said = replay(address, "001")
    assert code != 0
    assert f"--tfs-address takes HOST:PORT or HOST:PORT/RESTPORT, not '{address}'" in said
