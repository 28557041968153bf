# SPDX-License-Identifier: Apache-2.0
"""Every client against a server with real models: the same results, the same exceptions."""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from tfs_deploy import protos
from tfs_deploy.client import Client, RestClient
from tfs_deploy.errors import (
    DeadlineExceededError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    RequestError,
    UnavailableError,
    UnimplementedError,
)

F32 = np.float32


def check(actual: Any, expected: Any) -> None:
    expected = np.asarray(expected)
    assert actual.dtype == expected.dtype
    assert actual.shape == expected.shape
    if expected.dtype == object:
        assert actual.tolist() == expected.tolist()
    else:
        np.testing.assert_allclose(actual, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("where", "version"), [({}, 124), ({"version": 123}, 123), ({"label": "stable"}, 123), ({"label": "canary"}, 124)]
)
def test_versions_and_labels(client, over_rest, where, version):
    reply = client.predict("half_plus_two", {"x": np.array([1, 2, 5], F32)}, **where)
    check(reply["y"], np.array([2.5, 3, 4.5], F32))
    if not over_rest:
        assert reply.version == version
    assert client.metadata("half_plus_two", **where).version == version
    assert client.wait_ready("half_plus_two", **where) == version


@pytest.mark.parametrize(
    ("signature", "inputs", "outputs"),
    [
        (None, {"x": [0, 2]}, {"y": np.array([3, 4], F32)}),
        ("serving_default", {"x": np.zeros(0, F32)}, {"y": np.zeros(0, F32)}),
        ("scalar", {"x": 1.5}, {"y": np.array(3, F32)}),
        ("toscalar", {"x": [1.5, 2]}, {"y": np.array(3.5, F32)}),
        (
            "two",
            {"a": [1.5, -2], "b": [2**40, 3]},
            {"s": np.array([2**40, 1], F32), "pos": np.array([True, False])},
        ),
        (
            "mat",
            {"m": [[1, 2, 3], [4, 5, 6]]},
            {"sum": np.array([6, 15], F32), "full": np.array([[2, 4, 6], [8, 10, 12]], F32)},
        ),
        ("uneven", {"x": [1, 2]}, {"y": np.array([1, 2], F32), "z": np.array([1, 2, 1, 2], F32)}),
        ("dyn2d", {"x": np.zeros((2, 0), F32)}, {"y": np.zeros((2, 0), F32)}),
        ("div0", {"x": [1, -1, 0]}, {"y": np.array([np.inf, -np.inf, np.nan], F32)}),
        ("f64", {"x": [math.pi, np.nan, -np.inf]}, {"y": np.array([math.pi, np.nan, -np.inf])}),
        ("boolin", {"b": [True, False]}, {"y": np.array([False, True])}),
        ("i32", {"x": [-(2**31), 2**31 - 1]}, {"y": np.array([-(2**31), 2**31 - 1], np.int32)}),
        ("u8", {"x": np.array([0, 255], np.uint8)}, {"y": np.array([0, 255], np.uint8)}),
        (
            "strs",
            {"txt": ["abc", "déjà", b"\x00\x10"]},
            {
                "upper": np.array([b"ABC", "DéJà".encode(), b"\x00\x10"], object),
                "raw_bytes": np.array([b"abc", "déjà".encode(), b"\x00\x10"], object),
            },
        ),
        ("strlen", {"img_bytes": [b"\xff\xd8\xff", b""]}, {"n": np.array([3, 0], np.int32)}),
        (
            "tf1_classify",
            {"inputs": [b""]},
            {"classes": np.array([[b"neg", b"zero", b"pos"]], object), "scores": np.zeros((1, 3), F32)},
        ),
    ],
)
def test_signatures_and_dtypes(client, signature, inputs, outputs):
    reply = client.predict("zoo", inputs, signature=signature)
    assert sorted(reply) == sorted(outputs)
    assert (reply.model, reply.signature) == ("zoo", signature or "serving_default")
    for name, expected in outputs.items():
        check(reply[name], expected)


def test_bytes_that_are_no_text(client):
    """Over REST only outputs named ``..._bytes`` are base64; others carry the bytes themselves."""
    reply = client.predict("zoo", {"txt": [b"\xff\x00a"]}, signature="strs")
    assert reply["raw_bytes"].tolist() == [b"\xff\x00a"]
    assert reply["upper"].tolist() == [b"\xff\x00A"]


def test_an_output_filter(client):
    reply = client.predict("zoo", {"a": [1.0], "b": [2]}, signature="two", output_filter=["pos"])
    assert list(reply) == ["pos"]


@pytest.mark.parametrize(
    ("signature", "outputs"),
    [
        ("half16", np.array([1.5, 0.1], np.float16)),
        ("bf16", np.array([1.5, 0.1], ml_dtypes.bfloat16)),
        ("cplx", np.array([1.5 + 1.5j, F32(0.1) + F32(0.1) * 1j], np.complex64)),
    ],
)
def test_dtypes_that_only_grpc_carries(client, over_rest, signature, outputs):
    inputs = {"x": np.array([1.5, 0.1], F32)}
    if over_rest:
        with pytest.raises(InvalidArgumentError, match="Failed to write JSON value") as caught:
            client.predict("zoo", inputs, signature=signature)
        assert caught.value.hint == "the REST API does not support this dtype: use the gRPC client"
    else:
        check(client.predict("zoo", inputs, signature=signature)["y"], outputs)


def test_half_inputs(client, over_rest):
    inputs = {"x": np.array([1.5], np.float16)}
    if over_rest:
        with pytest.raises(RequestError, match="input x is float16, which the REST API cannot carry"):
            client.predict("zoo", inputs, signature="f16in")
    else:
        check(client.predict("zoo", inputs, signature="f16in")["y"], np.array([1.5], F32))


def test_signatures_without_inputs(client, over_rest):
    if over_rest:
        with pytest.raises(InvalidArgumentError, match="Failed to get input map") as caught:
            client.predict("counter", {}, signature="get_counter")
        assert "use gRPC" in caught.value.hint
    else:
        assert client.predict("counter", {}, signature="get_counter")["output"].dtype == F32


@pytest.mark.parametrize(
    ("call", "kind", "message", "hint"),
    [
        (
            lambda c: c.predict("nosuch", {"x": [1.0]}),
            NotFoundError,
            "Servable not found for request: Latest(nosuch)",
            "tfs-deploy status",
        ),
        (
            lambda c: c.predict("zoo", {"x": [1.0]}, version=9),
            NotFoundError,
            "Servable not found for request: Specific(zoo, 9)",
            "the server has these versions of zoo: version 2 AVAILABLE, version 1 AVAILABLE",
        ),
        (
            lambda c: c.predict("zoo", {"x": [1.0]}, label="prod"),
            InvalidArgumentError,
            "Unrecognized servable version label: prod",
            "tfs-deploy status",
        ),
        (
            lambda c: c.predict("zoo", {"x": [1.0]}, signature="serving"),
            RequestError,
            "zoo has no signature serving; it has: bf16, boolin",
            "did you mean signature serving_default?",
        ),
        (
            lambda c: c.predict("counter", {}),
            RequestError,
            "counter has no signature serving_default; it has: get_counter",
            None,
        ),
        (
            lambda c: c.predict("zoo", {"img": [b"a"]}, signature="strlen"),
            RequestError,
            "signature strlen has no input img; it has: img_bytes",
            "did you mean input img_bytes?",
        ),
        (
            lambda c: c.predict("zoo", {"a": [1.0]}, signature="two"),
            RequestError,
            "signature two needs the input b (int64 [?])",
            "add b to the inputs",
        ),
        (
            lambda c: c.predict("zoo", {"x": np.array([1])}),
            RequestError,
            "input x expects float32 [?], got int64 [1]",
            "convert it with .astype(np.float32)",
        ),
        (
            lambda c: c.predict("zoo", {"m": np.ones((2, 4), F32)}, signature="mat"),
            RequestError,
            "input m expects float32 [?, 3], got float32 [2, 4]",
            None,
        ),
        (
            lambda c: c.predict("zoo", {"x": [1.0]}, output_filter=["z"]),
            RequestError,
            "signature serving_default has no output z; it has: y",
            "use output y",
        ),
        (
            lambda c: c.predict("zoo", {"a": [1.0, 2.0], "b": [1, 2, 3]}, signature="two"),
            InvalidArgumentError,
            "Incompatible shapes",
            None,
        ),
        (
            lambda c: c.predict("zoo", {"x": [0]}, signature="idiv"),
            InvalidArgumentError,
            "Integer division by zero",
            None,
        ),
        (
            lambda c: c.predict("zoo", {"x": [60.0]}, signature="slow", timeout=0.05),
            DeadlineExceededError,
            "no answer",
            "give a longer timeout",
        ),
        (lambda c: c.status("nosuch"), NotFoundError, "Could not find any versions of model nosuch", None),
        (lambda c: c.status("zoo", version=9), NotFoundError, "Could not find version 9 of model zoo", None),
        (lambda c: c.metadata("nosuch"), NotFoundError, "Latest(nosuch)", None),
    ],
)
def test_errors(client, call, kind, message, hint):
    with pytest.raises(kind) as caught:
        call(client)
    assert message in caught.value.message
    if hint is not None:
        assert hint in caught.value.hint


def test_status(client):
    found = client.status("half_plus_two")
    assert [(status.version, status.state) for status in found] == [(124, "AVAILABLE"), (123, "AVAILABLE")]
    assert all(status.available and not status.failed for status in found)


def test_metadata(client):
    signatures = client.metadata("zoo", version=2).signatures
    assert {name: str(spec) for name, spec in signatures["two"].inputs.items()} == {
        "a": "float32 [?]",
        "b": "int64 [?]",
    }
    assert {name: str(spec) for name, spec in signatures["scalar"].outputs.items()} == {"y": "float32 []"}
    assert signatures["tf1_classify"].method == "tensorflow/serving/classify"
    assert "__saved_model_init_op" not in signatures


def test_both_transports_describe_a_model_alike(served):
    with Client(served.grpc) as grpc_client, RestClient(served.rest) as rest_client:
        for model in ("zoo", "half_plus_two", "counter", "hp2_tf2"):
            assert grpc_client.metadata(model) == rest_client.metadata(model)
            assert grpc_client.status(model) == rest_client.status(model)


def test_without_check_the_server_refuses(served):
    with Client(served.grpc, check=False) as client:
        with pytest.raises(InvalidArgumentError, match="input alias: x"):
            client.predict("zoo", {"q": np.ones(1, F32)})
        with pytest.raises(FailedPreconditionError, match='Serving signature key "nosuch" not found') as caught:
            client.predict("zoo", {"x": np.ones(1, F32)}, signature="nosuch")
        assert caught.value.exit_code == 2
        check(client.predict("zoo", {"x": [1.0]})["y"], np.array([3.5], F32))
    with (
        RestClient(served.rest, check=False) as client,
        pytest.raises(InvalidArgumentError, match="Missing named input"),
    ):
        client.predict("zoo", {"q": np.ones(1, F32)})


def test_a_big_batch(client):
    values = np.linspace(-1e3, 1e3, 300_000, dtype=F32)
    check(client.predict("half_plus_two", {"x": values})["y"], values / 2 + F32(2))


def test_wrong_ports(served):
    with Client(served.rest) as client, pytest.raises(UnavailableError, match="speaks HTTP/1, not gRPC"):
        client.status("zoo")
    with RestClient(served.grpc) as client, pytest.raises(UnavailableError, match="may be a gRPC port"):
        client.status("zoo")


def test_reload(served):
    """A label moves at once; a label on a version that is not loaded is refused and changes nothing."""
    config = protos.parse_text(served.config, protos.ModelServerConfig())
    labels = config.model_config_list.config[0].version_labels
    with Client(served.grpc, timeout=300) as client, RestClient(served.rest) as rest:
        labels["stable"] = 124
        client.reload(config)
        try:
            assert client.predict("half_plus_two", {"x": [1.0]}, label="stable").version == 124
            labels["stable"] = 125
            with pytest.raises(FailedPreconditionError, match="not currently available for inference") as caught:
                client.reload(config)
            assert caught.value.hint == "load the version first, then label it in a second reload"
            assert client.metadata("half_plus_two", label="stable").version == 124
            with pytest.raises(UnimplementedError, match="the REST API cannot reload"):
                rest.reload(served.config)
        finally:
            client.reload(served.config)
        assert client.metadata("half_plus_two", label="stable").version == 123


def test_waiting_for_a_version_that_never_comes(client):
    with pytest.raises(DeadlineExceededError, match=r"zoo version 9 is not ready after 1 s; last seen: Could not find"):
        client.wait_ready("zoo", version=9, timeout=1.0)
