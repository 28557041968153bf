# SPDX-License-Identifier: Apache-2.0
"""One trial of a model: export (in a process with its library), verify, serve, call, compare."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np
import yaml

from tfs_deploy.client import Client, RestClient
from tfs_deploy.savedmodel.graph.op_libraries import use_op_libraries
from tfs_deploy.server.testing import serve_models
from zoo.packages import folder_of

if TYPE_CHECKING:
    from zoo.specimen import Library

ROOT = Path(__file__).resolve().parents[2]
#: seconds for one call: some networks are slow on a busy machine
TIMEOUT = 120.0


class BrokenError(Exception):
    """The zoo's own function or its library failed: nothing was exported."""


class RefusedError(Exception):
    """The export of a model ended with an error."""


@dataclass(frozen=True)
class Seconds:
    """What the steps of a trial took; ``serve`` is a server's start and one call over each transport."""

    export: float
    verify: float
    serve: float


def build_all(library: Library, names: Iterable[str], out: Path) -> None:
    """Build and export models below a folder, in one process with a library's packages and environment.

    Args:
        library: the library, or one with the same packages and environment.
        names: ``LIBRARY/MODEL``.
        out: where they go.

    Raises:
        NotInstalledError: a package cannot be had.
    """
    path = [ROOT, ROOT / "tests", *(folder_of(package) for package in library.packages)]
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-m", "zoo.build", str(out), *names]
    with (out / "log").open("wb") as log:
        environment = {**os.environ, **quiet, **library.environment}
        subprocess.run(command, cwd=out, env=environment, stdout=log, stderr=log, check=False)


def try_model(out: Path, name: str) -> Seconds:
    """Verify, serve and compare a model that ``build_all`` wrote; return the seconds.

    Raises:
        BrokenError: it could not be built.
        RefusedError: it could not be exported.
        AssertionError: verify said no, or an answer is not the original's.
    """
    built = _built(out, name)
    folder = out / name
    begun = time.perf_counter()
    verify(folder, built["server"])
    verified = time.perf_counter()
    with np.load(folder / "answers.npz", allow_pickle=True) as arrays:
        inputs = {key.removeprefix("in "): arrays[key] for key in arrays if key.startswith("in ")}
        outputs = {key.removeprefix("out "): arrays[key] for key in arrays if key.startswith("out ")}
    with patch.dict(os.environ):
        use_op_libraries(built["server"]["op_libraries"])
        serve_and_compare(folder / "model", built, inputs, outputs)
    return Seconds(built["export_seconds"], verified - begun, time.perf_counter() - verified)


def serve_and_compare(
    base_path: Path, built: Mapping[str, Any], inputs: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray]
) -> None:
    """Ask a server of the model over both transports, and compare its answers with the original's."""
    with serve_models({"m": base_path}) as server:
        for client in (Client(server.grpc_address, timeout=TIMEOUT), RestClient(server.rest_url, timeout=TIMEOUT)):
            with client:
                answer = dict(client.predict("m", inputs, signature=built["signature"]))
            compare(answer, outputs, built["rtol"], built["atol"], type(client).__name__)


def _built(out: Path, name: str) -> dict[str, Any]:
    document = out / name / "built.json"
    if not document.exists():
        raise BrokenError(f"the process ended before its turn: {(out / 'log').read_text(errors='replace')[-2000:]}")
    built: dict[str, Any] = json.loads(document.read_text())
    if "broken" in built:
        raise BrokenError(built["broken"])
    if "refused" in built:
        raise RefusedError(built["refused"])
    return built


def verify(folder: Path, server: Mapping[str, Any]) -> None:
    """Run ``tfs-deploy verify`` without its load test, and assert that it says yes; ``server``: what it needs."""
    subject = folder / "model"
    if any(server.values()):
        subject = folder / "deployment.yaml"
        models = [{"name": "m", "base_path": "model"}]
        server = {"target": "embedded", **{key: value for key, value in server.items() if value}}
        subject.write_text(yaml.safe_dump({"name": "zoo", "models": models, "server": server}))
    command = [sys.executable, "-m", "tfs_deploy", "verify", str(subject), "--json", "--load", "0"]
    command += ["--timeout", str(TIMEOUT)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder)
    assert result.returncode == 0, result.stderr.strip()[-1000:]
    assert json.loads(result.stdout)["ok"]


def compare(
    answer: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], rtol: float, atol: float, transport: str
) -> None:
    """Assert that a reply has exactly the expected outputs: dtypes, shapes and values."""
    assert answer.keys() == expected.keys(), transport
    for name, want in expected.items():
        got = answer[name]
        assert (got.dtype, got.shape) == (want.dtype, want.shape), f"{transport}: {name}"
        if want.dtype.kind in "fc":
            np.testing.assert_allclose(got, want, rtol, atol, err_msg=f"{transport}: {name}")
        else:
            np.testing.assert_array_equal(got, want, err_msg=f"{transport}: {name}")
