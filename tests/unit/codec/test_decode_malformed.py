# SPDX-License-Identifier: Apache-2.0
"""Bytes that are not a message, or a message that is not a tensor: a clean error, never an IndexError."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy import codec, protos
from tfs_deploy.errors import DataLossError, InvalidArgumentError

REQUEST = codec.encode_predict_request(
    "half_plus_two",
    {
        "x": np.arange(4, dtype=np.float32),
        "s": np.array([b"one", b"two"], object),
        "n": np.array([[1, 2], [3, 400]], np.int64),
    },
    signature="serving_default",
    version=7,
    output_filter=["y"],
)
RESPONSE = codec.encode_predict_response(
    {"y": np.arange(4, dtype=np.float32), "n": np.array([1, -400], np.int64)}, model="m", version=3, signature="s"
)
DECODERS: list[Callable[[bytes], Any]] = [
    codec.decode_predict_request,
    codec.decode_predict_response,
    codec.decode_tensor,
]


@pytest.mark.parametrize("decode", DECODERS)
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(decode: Callable[[bytes], Any], data: bytes) -> None:
    with contextlib.suppress(DataLossError, InvalidArgumentError):
        decode(data)


@given(where=st.integers(0, len(REQUEST) - 1), byte=st.integers(0, 255))
def test_one_damaged_byte(where: int, byte: int) -> None:
    """A flipped byte never fails but cleanly, and never where protobuf reads the message."""
    damaged = REQUEST[:where] + bytes([byte]) + REQUEST[where + 1 :]
    try:
        with contextlib.suppress(InvalidArgumentError):
            codec.decode_predict_request(damaged)
    except DataLossError:
        with pytest.raises(DecodeError):
            protos.PredictRequest.FromString(damaged)


@pytest.mark.parametrize("cut", range(1, len(REQUEST)))
def test_a_truncated_request(cut: int) -> None:
    """Both parsers agree on which prefixes of a request are messages."""
    try:
        protos.PredictRequest.FromString(REQUEST[:cut])
    except DecodeError:
        with pytest.raises(DataLossError):
            codec.decode_predict_request(REQUEST[:cut])
    else:
        codec.decode_predict_request(REQUEST[:cut])


@pytest.mark.parametrize("cut", [1, 5, len(RESPONSE) - 1])
def test_a_truncated_response(cut: int) -> None:
    with pytest.raises(DataLossError, match="not a PredictResponse"):
        codec.decode_predict_response(RESPONSE[:cut])


def _tensor(**fields: Any) -> Any:
    sizes = fields.pop("shape", [])
    message = protos.TensorProto(**fields)
    for size in sizes:
        message.tensor_shape.dim.add(size=size)
    return message


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (_tensor(), "the dtype is missing"),
        (_tensor(dtype=20), "dtype 20 is unknown"),
        (_tensor(dtype=63), "dtype 63 is unknown"),
        (_tensor(dtype=101), "dtype 101 is unknown"),
        (_tensor(dtype=1, shape=[2], tensor_content=b"12345"), "tensor_content has 5 bytes instead of 8"),
        (_tensor(dtype=1, shape=[-1], float_val=[1]), "shape"),
        (_tensor(dtype=1, shape=[2**40, 2**40], float_val=[1]), "shape"),
        (_tensor(dtype=1, shape=[2**50], float_val=[1]), "too few values: 1125899906842624 elements"),
        (_tensor(dtype=9, shape=[2**50], int64_val=[1]), "too few values: 1125899906842624 elements"),
        (_tensor(dtype=1, shape=[2**27], float_val=[1]), "134217728 elements, of which the message has 1"),
        (_tensor(dtype=7, shape=[2**26]), "67108864 elements, of which the message has 0"),
        (_tensor(dtype=1, shape=[1] * 300, float_val=[1]), "shape"),
        (_tensor(dtype=7, shape=[3], tensor_content=b"\x01"), "too short"),
        (_tensor(dtype=7, shape=[1], tensor_content=b"\x05ab"), "do not add up"),
    ],
)
def test_no_tensor(tensor: Any, reason: str) -> None:
    """The message is the one of the real server, the hint says what is wrong."""
    request = protos.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["x"].CopyFrom(tensor)
    with pytest.raises(InvalidArgumentError) as caught:
        codec.decode_predict_request(request.SerializeToString())
    assert caught.value.message == "tensor parsing error: x"
    with pytest.raises(InvalidArgumentError, match=reason):
        codec.decode_tensor(tensor.SerializeToString())


def test_a_reply_that_is_no_tensor_names_the_output() -> None:
    response = protos.PredictResponse()
    response.outputs["y"].CopyFrom(_tensor(dtype=1, shape=[2], tensor_content=b"12345"))
    with pytest.raises(DataLossError, match="output y of the reply cannot be read: tensor_content has 5 bytes"):
        codec.decode_predict_response(response.SerializeToString())


@pytest.mark.parametrize("count", [3, 100])
@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (b"\x80", "a packed field ends within a varint"),
        (b"\xff" * 10 + b"\x01", "a varint is longer than ten bytes"),
    ],
)
def test_damaged_packed_varints(count: int, last: bytes, reason: str) -> None:
    """Short fields are read by a loop, long ones by numpy."""
    head = _tensor(dtype=9, shape=[count]).SerializeToString()
    packed = b"\x01" * count + last
    field = b"\x52" + bytes([len(packed)]) + packed
    with pytest.raises(DataLossError, match=reason):
        codec.decode_tensor(head + field)
