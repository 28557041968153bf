# SPDX-License-Identifier: Apache-2.0
"""Quantized, float8 and 4-bit tensors through a server of a real graph, over gRPC and REST."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from support.graphs import write_identity
from tfs_deploy.client import Client, RestClient
from tfs_deploy.codec import numpy_dtype
from tfs_deploy.codec.dtypes import wire_dtype
from tfs_deploy.errors import InvalidArgumentError, RequestError, StatusError
from tfs_deploy.protos.signatures import QUANTIZED_DTYPES
from tfs_deploy.runtime import load_model
from tfs_deploy.server.testing import function_model, serve_models

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfs_deploy.server.testing import TestServer

DTYPES = [*QUANTIZED_DTYPES, "float8_e5m2", "float8_e4m3fn", "int4", "uint4", "int2"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dtypes")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[TestServer]:
    for dtype in DTYPES:
        write_identity(folder / dtype / "1", dtype)
    with serve_models({dtype: folder / dtype for dtype in DTYPES}) as running:
        yield running


@pytest.mark.tensorflow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("form", ["values", "wire form", "list"])
def test_over_grpc(server: TestServer, dtype: str, form: str) -> None:
    values = np.array([1, 0, 1]).astype(numpy_dtype(dtype))
    given = values.view(wire_dtype(dtype)) if form == "wire form" else [1, 0, 1] if form == "list" else values
    with Client(server.grpc_address) as client:
        reply = client.predict(dtype, {"x": given})["y"]
    assert reply.dtype == values.dtype
    assert reply.astype(int).tolist() == [1, 0, 1]


@pytest.mark.tensorflow
def test_plain_integers_are_refused_as_the_original_does(server: TestServer) -> None:
    with Client(server.grpc_address, check=False) as client:
        with pytest.raises(StatusError, match=r"qint8 but int8 is provided|expected qint8 got int8|Type mismatch"):
            client.predict("qint8", {"x": np.int8([1])})
        sent = np.int8([1]).view([("qint8", "i1")])
        assert client.predict("qint8", {"x": sent})["y"].tolist() == [1]
    with Client(server.grpc_address) as client, pytest.raises(RequestError, match=r"expects quint8 .*, got qint8"):
        client.predict("quint8", {"x": sent})


@pytest.mark.tensorflow
@pytest.mark.parametrize("dtype", ["qint32", "float8_e5m2", "int4"])
def test_rest_refuses_them(server: TestServer, dtype: str) -> None:
    with RestClient(server.rest_url) as client, pytest.raises(RequestError, match=f"input x is {dtype}, which the"):
        client.predict(dtype, {"x": [1]})


@pytest.mark.tensorflow
def test_a_local_model_takes_integers(server: TestServer, folder: Path) -> None:
    del server
    with load_model(folder / "quint16") as model:
        for given in (np.uint16([7, 65535]), [7, 65535], np.uint16([7, 65535]).view([("quint16", "u2")])):
            answer = model.predict(given)["y"]
            assert answer.dtype == np.uint16
            assert answer.tolist() == [7, 65535]
        with pytest.raises(RequestError, match=r"input x is int64 \[1\], but the model expects quint16") as caught:
            model.predict(np.int64([1]))
        assert caught.value.hint == "convert it with .astype('uint16')"


def test_functions_take_and_give_integers() -> None:
    def add(x: np.ndarray) -> dict[str, np.ndarray]:
        assert x.dtype == np.int8
        return {"y": x + np.int8(1)}

    model = function_model(add, inputs={"x": "qint8"}, outputs={"y": "qint8"})
    with serve_models({"m": model}) as server, Client(server.grpc_address) as client:
        assert client.predict("m", {"x": np.int8([1])})["y"].tolist() == [2]
    with (
        serve_models({"m": model}) as server,
        Client(server.grpc_address, check=False) as client,
        pytest.raises(InvalidArgumentError, match="to be qint8 but int8 is provided"),
    ):
        client.predict("m", {"x": np.int8([1])})
