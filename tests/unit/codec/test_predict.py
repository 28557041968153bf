# SPDX-License-Identifier: Apache-2.0
"""PredictRequest and PredictResponse bytes against protobuf's classes."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy import codec, protos
from tfs_deploy.codec.decode import MAX_FILLED
from tfs_deploy.codec.wire import delimited, varint
from tfs_deploy.errors import DataLossError, InvalidArgumentError, RequestError, TfsDeployError

names = st.text(min_size=0, max_size=150)


@given(
    model=names,
    signature=st.none() | names,
    version=st.none() | st.integers(-(2**63), 2**63 - 1),
    output_filter=st.lists(names, max_size=3),
    inputs=st.dictionaries(names, st.lists(st.floats(width=32, allow_nan=False), max_size=40), max_size=3),
)
def test_requests_are_what_protobuf_would_write(
    model: str, signature: str | None, version: int | None, output_filter: list[str], inputs: dict[str, list[float]]
) -> None:
    arrays = {name: np.array(values, np.float32) for name, values in inputs.items()}
    data = codec.encode_predict_request(
        model, arrays, signature=signature, version=version, output_filter=output_filter
    )
    message = protos.PredictRequest.FromString(data)
    assert message.model_spec.name == model
    assert message.model_spec.signature_name == (signature or "")
    assert message.model_spec.HasField("version") == (version is not None)
    assert message.model_spec.version.value == (version or 0)
    assert not message.model_spec.HasField("version_label")
    assert list(message.output_filter) == output_filter
    assert {key: list(codec.decode_tensor(t.SerializeToString())) for key, t in message.inputs.items()} == inputs
    for wire in (data, message.SerializeToString()):
        call = codec.decode_predict_request(wire)
        assert (call.model, call.signature, call.version) == (model, signature or None, version)
        assert call.output_filter == tuple(output_filter)
        assert {key: value.tolist() for key, value in call.inputs.items()} == inputs


@pytest.mark.parametrize("label", ["stable", "", "kanarienvögel"])
def test_labels(label: str) -> None:
    """An empty label is a label: the server answers it with an error, not with its default version."""
    data = codec.encode_predict_request("m", {}, label=label)
    spec = protos.PredictRequest.FromString(data).model_spec
    assert spec.HasField("version_label")
    assert spec.version_label == label
    call = codec.decode_predict_request(data)
    assert (call.label, call.version) == (label, None)


def test_of_label_and_version_the_later_one_counts() -> None:
    by_label = codec.encode_predict_request("m", {}, label="stable")
    by_version = codec.encode_predict_request("", {}, version=3)
    call = codec.decode_predict_request(by_label + by_version)
    assert (call.model, call.label, call.version) == ("m", None, 3)
    theirs = protos.PredictRequest.FromString(by_label + by_version).model_spec
    assert (theirs.name, theirs.WhichOneof("version_choice")) == ("m", "version")


@given(
    model=names,
    signature=names,
    version=st.integers(0, 2**63 - 1),
    values=st.lists(st.integers(-(2**63), 2**63 - 1), max_size=40),
    tensor_content=st.booleans(),
)
def test_responses_are_what_protobuf_would_write(
    model: str, signature: str, version: int, values: list[int], tensor_content: bool
) -> None:
    outputs = {"y": np.array(values, np.int64)}
    data = codec.encode_predict_response(
        outputs, model=model, version=version, signature=signature, tensor_content=tensor_content
    )
    message = protos.PredictResponse.FromString(data)
    assert message.SerializeToString(deterministic=True) == data
    assert bool(message.outputs["y"].tensor_content) == (tensor_content and bool(values))
    reply = codec.decode_predict_response(data)
    assert (reply.model, reply.version, reply.signature) == (model, version, signature)
    assert reply["y"].tolist() == values


@pytest.mark.parametrize(
    ("wire", "outputs"),
    [
        # answers of tensorflow_model_server: float_val, an empty batch, half_val, scomplex_val
        (
            "ChsKAXkSFggBEgQSAggDKgwAACBAAABAQAAAkEASJAoNaGFsZl9wbHVzX3R3bxICCHwaD3NlcnZpbmdfZGVmYXVsdA==",
            {"y": np.array([2.5, 3.0, 4.5], np.float32)},
        ),
        (
            "Cg8KAXkSCggBEgYSABICCAESJAoNaGFsZl9wbHVzX3R3bxICCHwaD3NlcnZpbmdfZGVmYXVsdA==",
            {"y": np.zeros((0, 1), np.float32)},
        ),
        ("ChEKAXkSDAgTEgQSAggBagKAfBIRCgN6b28SAggCGgZoYWxmMTY=", {"y": np.array([1.5], np.float16)}),
        (
            "ChcKAXkSEggIEgQSAggBSggAAMA/AADAPxIPCgN6b28SAggCGgRjcGx4",
            {"y": np.array([1.5 + 1.5j], np.complex64)},
        ),
    ],
)
def test_replies_of_the_real_server(wire: str, outputs: dict[str, Any]) -> None:
    """Read them, and write them again byte for byte."""
    data = base64.b64decode(wire)
    reply = codec.decode_predict_response(data)
    assert {name: (array.dtype, array.tolist()) for name, array in reply.items()} == {
        name: (array.dtype, array.tolist()) for name, array in outputs.items()
    }
    assert reply.version is not None
    again = codec.encode_predict_response(outputs, model=reply.model, version=reply.version, signature=reply.signature)
    assert again == data


def test_unknown_fields_and_groups_are_skipped() -> None:
    data = codec.encode_predict_request("m", {"x": np.float32(1)})
    group = b"\xa3\x06" + b"\x08\x01" + b"\x12\x01a" + b"\x2d1234" + b"\x31" + b"8" * 8 + b"\x1b\x1c" + b"\xa4\x06"
    unknown = b"\xa0\x06\x01" + b"\xa2\x06\x03abc" + b"\xa5\x06abcd" + b"\xa1\x06abcdefgh"
    call = codec.decode_predict_request(group + data + unknown)
    assert call.model == "m"
    assert call.inputs["x"] == np.float32(1)
    assert protos.PredictRequest.FromString(group + data + unknown).model_spec.name == "m"


def test_the_last_entry_of_a_key_counts() -> None:
    twice = codec.encode_predict_request("m", {"x": 1.0}) + codec.encode_predict_request("m", {"x": 2.0})
    assert codec.decode_predict_request(twice).inputs["x"] == 2.0


def test_reply_is_a_mapping() -> None:
    data = codec.encode_predict_response({"b": [1.0], "a": ["x"]}, model="m", version=3, signature="s")
    reply = codec.decode_predict_response(data)
    assert sorted(reply) == ["a", "b"]
    assert len(reply) == 2
    assert "a" in reply
    assert "zzz" not in reply
    assert repr(reply) == "PredictReply(b: float32[1], a: object[1]; m version 3, s)"
    with pytest.raises(KeyError, match=r"'c' is not an output of m; it has \['a', 'b'\]"):
        reply["c"]


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (1.5, "float32", 1.5),
        ([1, 2], "int32", [1, 2]),
        ([1, 2**40], "int64", [1, 2**40]),
        ([[True], [False]], "bool", [[True], [False]]),
        (1j, "complex128", 1j),
        ("text", "object", b"text"),
        (b"\x00a\x00", "object", b"\x00a\x00"),
        (["ä", b"b\x00"], "object", ["ä".encode(), b"b\x00"]),
        (["ä", b"\xff"], "object", ["ä".encode(), b"\xff"]),
        ([["a", "bb"], ["ccc", ""]], "object", [[b"a", b"bb"], [b"ccc", b""]]),
        (np.array(["a", "bb"]), "object", [b"a", b"bb"]),
        (np.float64(1.5), "float64", 1.5),
        (np.array([1, 2], ">i8"), "int64", [1, 2]),
        ((1.0, 2.0), "float32", [1.0, 2.0]),
        ([], "float32", []),
        (range(3), "int64", [0, 1, 2]),
    ],
)
def test_python_values_follow_make_tensor_proto(value: Any, dtype: str, expected: Any) -> None:
    array = codec.decode_predict_request(codec.encode_predict_request("m", {"x": value})).inputs["x"]
    assert array.dtype == np.dtype(dtype)
    assert array.tolist() == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 2], [3]], "input x: a nested list has rows of unequal lengths"),
        ([["a"], ["b", "c"]], "input x: a nested list has rows of unequal lengths"),
        (np.array(["2020-01-01"], "M8[D]"), r"input x: dtype datetime64\[D\] cannot be sent"),
        (np.array([1, 2], object), "input x: an element of a string tensor is of type int"),
        ([2**70], "input x: "),
        ("\ud800", "input x: a text holds half a surrogate pair"),
        (None, "input x: an element of a string tensor is of type NoneType"),
    ],
)
def test_what_cannot_be_a_tensor(value: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        codec.encode_predict_request("m", {"x": value})


def test_label_and_version_exclude_each_other() -> None:
    with pytest.raises(RequestError, match="a version or a label, not both"):
        codec.encode_predict_request("m", {}, label="stable", version=1)
    with pytest.raises(RequestError, match="does not fit 64 bits"):
        codec.encode_predict_request("m", {}, version=2**63)


def _filled(elements: int, name: str = "x") -> bytes:
    """Return a map entry with a tensor of that many float elements and no value."""
    shape = delimited(b"\x12", delimited(b"\x12", b"\x08" + varint(elements)))
    return delimited(b"\x0a", name.encode()) + delimited(b"\x12", b"\x08\x01" + shape)


@pytest.mark.parametrize("reply", [False, True])
def test_what_a_message_may_ask_for_beyond_its_values(reply: bool) -> None:
    tag = b"\x0a" if reply else b"\x12"
    decode: Any = codec.decode_predict_response if reply else codec.decode_predict_request
    half = MAX_FILLED // 8
    for second, fits in ((half, True), (half + 1, False)):
        data = delimited(tag, _filled(half, "x")) + delimited(tag, _filled(second, "y"))
        if fits:
            found = decode(data)
            assert reply or found.filled_bytes == MAX_FILLED
            continue
        with pytest.raises(TfsDeployError) as caught:
            decode(data)
        assert f"asks for {MAX_FILLED + 4} bytes more" in f"{caught.value.message} {caught.value.hint}"
        assert isinstance(caught.value, DataLossError if reply else InvalidArgumentError)


def test_values_that_were_sent_are_not_counted_as_filled() -> None:
    data = codec.encode_predict_request("m", {"x": np.ones(1000, np.float32)})
    assert codec.decode_predict_request(bytearray(data)).filled_bytes == 0


@pytest.mark.parametrize("version", [-(2**63), -1, 0, 1, 2**63 - 1])
def test_versions_that_fit_64_bits(version: int) -> None:
    assert codec.decode_predict_request(codec.encode_predict_request("m", {}, version=version)).version == version


@pytest.mark.parametrize("version", [-(2**63) - 1, 2**63])
def test_versions_that_do_not(version: int) -> None:
    with pytest.raises(RequestError, match="does not fit 64 bits"):
        codec.encode_predict_request("m", {}, version=version)


def test_a_model_spec_that_comes_in_pieces_is_one() -> None:
    spec = [delimited(b"\x0a", part) for part in (delimited(b"\x0a", b"m"), b"\x12\x02\x08\x05", b"\x1a\x01s")]
    call = codec.decode_predict_request(b"".join(spec))
    assert (call.model, call.version, call.signature, call.label) == ("m", 5, "s", None)
    long = codec.encode_predict_request("m" * 600, {}, label="l" * 600)
    assert codec.decode_predict_request(long).label == "l" * 600


def test_an_entry_without_a_name_or_a_value() -> None:
    with pytest.raises(InvalidArgumentError, match="tensor parsing error: x"):
        codec.decode_predict_request(delimited(b"\x12", b"\x0a\x01x"))
    data = delimited(b"\x12", delimited(b"\x12", b"\x08\x01"))
    assert list(codec.decode_predict_request(data).inputs) == [""]


def test_bytes_that_are_neither_message() -> None:
    with pytest.raises(DataLossError, match="not a PredictRequest"):
        codec.decode_predict_request(b"\x0a\x05x")
    with pytest.raises(DataLossError, match="not a PredictResponse"):
        codec.decode_predict_response(b"\x0a\x05x")
