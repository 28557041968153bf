# SPDX-License-Identifier: Apache-2.0
"""Servers inside a test, for functions and SavedModels."""

from __future__ import annotations

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest

from tfs_deploy.client import Client, RestClient
from tfs_deploy.codec import encode_predict_request
from tfs_deploy.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    ModelError,
    NotFoundError,
    ResourceExhaustedError,
    UnknownError,
    UsageError,
)
from tfs_deploy.protos import methods
from tfs_deploy.server.testing import fixed_model, function_model, serve_models

if TYPE_CHECKING:
    from pathlib import Path

pytest_plugins = ["tfs_deploy.server.pytest_plugin", "pytester"]


def double(x: np.ndarray) -> dict[str, Any]:
    if (x < 0).any():
        raise ValueError("negative")
    if (x > 100).any():
        raise ResourceExhaustedError("too much")
    return {"y": x * 2}


def shout(text: np.ndarray) -> dict[str, Any]:
    return {"loud": [item.upper() for item in text.tolist()], "length": [len(item) for item in text.tolist()]}


DOUBLE = function_model(double, inputs={"x": "float32"}, outputs={"y": "float32"})
SHOUT = function_model(
    signatures={"shout": (shout, {"text": "string"}, {"loud": "string", "length": "int64"})},
)


@pytest.fixture(scope="module")
def server(models: Path) -> Any:
    served = {"double": {1: DOUBLE, 2: DOUBLE}, "shout": SHOUT, "three": models / "saved_model_half_plus_three"}
    with serve_models(served, labels={"double": {"stable": 1}}) as server:
        yield server


@pytest.fixture(params=["grpc", "rest"])
def client(server: Any, request: pytest.FixtureRequest) -> Any:
    with Client(server.grpc_address) if request.param == "grpc" else RestClient(server.rest_url) as client:
        yield client


def test_functions_and_saved_models_are_served_alike(client: Any) -> None:
    assert client.predict("double", {"x": np.float32([1, 2])})["y"].tolist() == [2.0, 4.0]
    assert client.predict("three", {"x": np.float32([1])})["y"].tolist() == [3.5]
    reply = client.predict("shout", {"text": ["a", "bc"]}, signature="shout")
    assert [str(item, "utf-8") if isinstance(item, bytes) else item for item in reply["loud"].tolist()] == ["A", "BC"]
    assert reply["length"].tolist() == [1, 2]


def test_versions_and_labels(client: Any) -> None:
    assert [state.version for state in client.status("double")] == [2, 1]
    client.predict("double", {"x": np.float32([1])}, label="stable")
    client.predict("double", {"x": np.float32([1])}, version=2)
    with pytest.raises(NotFoundError):
        client.predict("double", {"x": np.float32([1])}, version=3)
    assert client.metadata("double", label="stable").version == 1
    assert str(client.metadata("shout").signatures["shout"].inputs["text"]) == "string [?]"


def test_a_function_that_raises_fails_its_request_only(client: Any) -> None:
    # over REST both are 500
    with pytest.raises((UnknownError, InternalError), match="ValueError: negative"):
        client.predict("double", {"x": np.float32([-1])})
    with pytest.raises(ResourceExhaustedError, match="too much"):
        client.predict("double", {"x": np.float32([101])})
    assert client.predict("double", {"x": np.float32([1])})["y"].tolist() == [2.0]


def test_dtypes_are_checked_as_by_tensorflow(server: Any) -> None:
    with grpc.insecure_channel(server.grpc_address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(methods.PREDICT)(encode_predict_request("double", {"x": np.int32([1])}), timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.details() == "Expects arg[0] to be float but int32 is provided"


def test_the_fixture(model_server: Any) -> None:
    first, second = model_server({"double": DOUBLE}), model_server({"double": DOUBLE}, rest=False)
    assert second.rest_url is None
    for server in (first, second):
        with Client(server.grpc_address) as client:
            assert client.predict("double", {"x": np.float32([3])})["y"].tolist() == [6.0]


def test_a_fixed_model_answers_each_example() -> None:
    outputs = {"label": 7, "scores": [0.25, 0.75], "name": "seven", "wide": np.float64([[1], [2]])}
    model = fixed_model(outputs, inputs={"x": ("float32", (None, 2)), "more": ("int64", ())})
    with serve_models({"m": model}, rest=False) as server, Client(server.grpc_address) as client:
        reply = client.predict("m", {"x": np.zeros((3, 2), np.float32), "more": 1})
        assert reply["label"].tolist() == [7, 7, 7]
        assert reply["scores"].tolist() == [[0.25, 0.75]] * 3
        assert reply["name"].tolist() == [b"seven"] * 3
        assert (reply["wide"].shape, reply["wide"].dtype) == ((3, 2, 1), np.float64)
        assert str(client.metadata("m").signatures["serving_default"].outputs["scores"]) == "float32 [?, 2]"
    with pytest.raises(UsageError, match="needs an input"):
        fixed_model(outputs, inputs={})


def test_a_model_fails_for_the_length_of_a_block_and_others_do_not(server: Any, client: Any) -> None:
    x = {"x": np.float32([1])}
    client.predict("double", x)
    with server.failing("double", ResourceExhaustedError("enough"), times=1):
        with pytest.raises(ResourceExhaustedError, match="enough"):
            client.predict("double", x)
        client.predict("double", x)
    with server.failing("double", NotFoundError("no such model")), server.failing("shout", InternalError("broken")):
        for _ in range(2):
            with pytest.raises(NotFoundError, match="no such model"):
                client.predict("double", x)
        assert client.predict("three", x)["y"].tolist() == [3.5]
    assert client.predict("double", x)["y"].tolist() == [2.0]


def test_what_waits_for_a_slow_model_goes_on_at_the_end_of_the_block(server: Any, client: Any) -> None:
    x = {"x": np.float32([1])}
    client.predict("double", x)
    with ThreadPoolExecutor(1) as threads:
        with server.slow("double", 60), pytest.raises(DeadlineExceededError):
            client.predict("double", x, timeout=0.2)
        with server.slow("double", 60):
            late = threads.submit(client.predict, "double", x, timeout=50)
            assert wait([late], timeout=0.1).not_done == {late}
        assert late.result(20)["y"].tolist() == [2.0]


def test_the_session_fixture_asks_for_models(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_mine(serving): pass")
    result = pytester.runpytest_inprocess("-p", "tfs_deploy.server.pytest_plugin")
    result.stdout.fnmatch_lines(["*UsageError: the fixture serving has no models (hint: define the session fixture *"])


def test_ports_are_closed_afterwards() -> None:
    with serve_models({"double": DOUBLE}) as server:
        address = server.grpc_address
    started = time.monotonic()
    with Client(address, timeout=1.0) as client, pytest.raises(Exception):  # noqa: B017 - any failure will do
        client.predict("double", {"x": np.float32([1])})
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("models", "kind", "message"),
    [
        ({"m": 7}, UsageError, "model m must be a base path or a function model, not int"),
        ({"m": "/nowhere/at/all"}, ModelError, "does not exist"),
    ],
)
def test_models_that_are_none(models: Any, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message), serve_models(models):
        pass


def test_specs_that_are_none() -> None:
    with pytest.raises(UsageError, match="unknown dtype 'float' of x"):
        function_model(double, inputs={"x": "float"}, outputs={"y": "float32"})
    with pytest.raises(UsageError, match="needs a function"):
        function_model()


def test_functions_need_no_tensorflow() -> None:
    code = """
import sys
sys.modules["tensorflow"] = None
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "tensorflow" else find(name, *rest)
import numpy as np
from tfs_deploy.client import Client
from tfs_deploy.protos import methods
from tfs_deploy.server.testing import function_model, serve_models
model = function_model(lambda x: {"y": x + 1}, inputs={"x": "int64"}, outputs={"y": "int64"})
with serve_models({"m": model}) as server, Client(server.grpc_address) as client:
    assert client.predict("m", {"x": np.int64([1])})["y"].tolist() == [2]
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("dtype", ["qint8", "quint8", "qint32", "float8_e5m2", "int2", "uint4", "bfloat16"])
def test_replies_of_dtypes_that_json_lacks_are_refused_as_the_original_does(dtype: str) -> None:
    model = function_model(lambda x: {"y": x}, inputs={"x": "float32"}, outputs={"y": dtype})
    refused = pytest.raises(InvalidArgumentError, match=f"Failed to write JSON value for tensor type: {dtype}")
    with serve_models({"m": model}) as server, RestClient(server.rest_url) as rest, refused:
        rest.predict("m", {"x": [1.0]})
