# SPDX-License-Identifier: Apache-2.0
"""Models that raise, answer in the wrong shape or take too long: only that request fails, with a code that says so."""

from __future__ import annotations

import json
import signal
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfs_deploy.client import Client, RestClient
from tfs_deploy.errors import (
    DeadlineExceededError,
    StatusError,
    UnknownError,
)
from tfs_deploy.server.testing import TestServer, function_model, serve_models

if TYPE_CHECKING:
    from .conftest import Server

released = threading.Event()


def moody(x: np.ndarray) -> dict[str, Any]:
    mood = int(x[0])
    if mood == 1:
        raise ValueError("I do not like ones")
    if mood == 2:
        return {}
    if mood == 3:
        return {"y": "text where numbers were promised"}
    if mood == 4:
        released.wait(20)
    if mood == 5:
        raise RecursionError
    if mood == 6:
        return {"y": np.zeros((0,))}
    if mood == 7:
        return [1, 2, 3]  # type: ignore[return-value]
    if mood == 8:
        raise MemoryError("none left")
    return {"y": x * 10}


@pytest.fixture(scope="module")
def moods() -> Iterator[TestServer]:
    model = function_model(moody, inputs={"x": "float32"}, outputs={"y": "float32"})
    with serve_models({"moody": model}) as server:
        yield server
    released.set()


def assert_well(server: TestServer) -> None:
    with Client(server.grpc_address) as client, RestClient(server.rest_url) as rest:
        for each in (client, rest):
            assert each.predict("moody", {"x": np.float32([9])})["y"] == 90.0


@pytest.mark.parametrize("mood", [1, 2, 3, 5, 7, 8])
@pytest.mark.parametrize("kind", [Client, RestClient])
def test_a_function_that_fails(mood: int, kind: type[Any], moods: TestServer) -> None:
    with kind(moods.grpc_address if kind is Client else moods.rest_url) as client:
        with pytest.raises(StatusError) as failure:
            client.predict("moody", {"x": np.float32([mood])})
        assert failure.value.message
        assert_well(moods)


def test_what_a_function_raised_is_said(moods: TestServer) -> None:
    with Client(moods.grpc_address) as client, pytest.raises(UnknownError, match="ValueError: I do not like ones"):
        client.predict("moody", {"x": np.float32([1])})


def test_rows_that_are_missing(moods: TestServer) -> None:
    """No rows are an answer too."""
    with Client(moods.grpc_address) as client:
        assert client.predict("moody", {"x": np.float32([6])})["y"].shape == (0,)
    url = f"{moods.rest_url}/v1/models/moody:predict"
    with urllib.request.urlopen(url, b'{"instances":[6]}', timeout=300) as reply:
        assert json.load(reply) == {"predictions": []}


def test_a_function_that_sleeps(moods: TestServer) -> None:
    with Client(moods.grpc_address) as client:
        with pytest.raises(DeadlineExceededError):
            client.predict("moody", {"x": np.float32([4])}, timeout=0.3)
        assert_well(moods)


@pytest.fixture
def slow(start: Callable[..., Server], models: Path) -> Server:
    return start(
        "--model_name=zoo",
        f"--model_base_path={models / 'zoo'}",
        "--rest_api_timeout_in_ms=400",
        "--grpc_max_threads=4",
    )


def test_a_graph_that_takes_too_long(slow: Server) -> None:
    """The deadline ends the run itself: threads and processors are free again, and the next request is answered."""
    with Client(slow.grpc_address) as client:
        client.predict("zoo", {"x": np.float32([0.0])}, signature="slow")
        began = time.monotonic()
        for _ in range(6):  # more than there are threads
            with pytest.raises(DeadlineExceededError):
                client.predict("zoo", {"x": np.float32([100_000.0])}, signature="slow", timeout=0.3)
            assert client.predict("zoo", {"x": np.float32([1.0])}, timeout=300)["y"] == 3.5
        assert time.monotonic() - began < 60
    assert_times_out_over_rest(slow)


def test_a_graph_that_was_quick_before(slow: Server) -> None:
    """A kind of request that used to be over at once runs where nobody can stop it, but it holds up nobody else."""
    with Client(slow.grpc_address) as client:
        for _ in range(100):
            client.predict("zoo", {"x": np.float32([0.0])}, signature="slow")
        for _ in range(6):
            with pytest.raises(DeadlineExceededError):
                client.predict("zoo", {"x": np.float32([100_000.0])}, signature="slow", timeout=0.3)
            assert client.predict("zoo", {"x": np.float32([1.0])}, timeout=300)["y"] == 3.5
    assert_times_out_over_rest(slow)
    slow.process.send_signal(signal.SIGTERM)
    assert slow.process.wait(100) == 0


def assert_times_out_over_rest(slow: Server) -> None:
    body = json.dumps({"signature_name": "slow", "instances": [100_000.0]}).encode()
    with pytest.raises(urllib.error.HTTPError) as failure:
        urllib.request.urlopen(f"{slow.rest_url}/v1/models/zoo:predict", body, timeout=300)
    with failure.value:
        assert failure.value.code == 504
        assert json.load(failure.value) == {"error": "Timed out waiting for notification"}
    assert slow.post("zoo", {"instances": [1.0]}) == {"predictions": [3.5]}


def test_outputs_that_cannot_be_split(start: Callable[..., Server], models: Path, tmp_path: Path) -> None:
    """In a batch, outputs without a row for each input fail their batch, nothing else."""
    (tmp_path / "batching").write_text("max_batch_size { value: 4 } batch_timeout_micros { value: 1000 }")
    server = start(
        *("--model_name=zoo", f"--model_base_path={models / 'zoo'}"),
        *("--enable_batching", f"--batching_parameters_file={tmp_path / 'batching'}"),
    )
    with Client(server.grpc_address) as client:
        for signature in ("toscalar", "uneven"):
            with pytest.raises(StatusError, match=r"0th dimension|0 dimensions"):
                client.predict("zoo", {"x": np.float32([1, 2])}, signature=signature)
            assert client.predict("zoo", {"x": np.float32([1.0])})["y"] == 3.5
