# SPDX-License-Identifier: Apache-2.0
"""Quantized arrays: integers for callers, a DataType of their own on the wire."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy import codec, protos
from tfs_deploy.codec.dtypes import wire_dtype
from tfs_deploy.codec.quantized import integers, quantized, quantized_inputs
from tfs_deploy.protos.signatures import DTYPE_NUMBERS, QUANTIZED_DTYPES, TensorSpec

TYPES = sorted(QUANTIZED_DTYPES.items())


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", sorted(QUANTIZED_DTYPES))
def test_the_wire_form_is_tensorflows(name: str) -> None:
    import tensorflow as tf

    assert wire_dtype(name) == tf.dtypes.as_dtype(name).as_numpy_dtype
    assert codec.dtype_number(wire_dtype(name)) == tf.dtypes.as_dtype(name).as_datatype_enum


@pytest.mark.parametrize(("name", "plain"), TYPES)
@pytest.mark.parametrize("typed", [False, True])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3)])
def test_there_and_back(name: str, plain: str, typed: bool, shape: tuple[int, ...]) -> None:
    lowest = np.full(shape, np.iinfo(plain).min, plain)
    data = codec.encode_tensor(quantized(lowest, name), typed=typed)
    message = protos.TensorProto.FromString(data)
    assert message.dtype == DTYPE_NUMBERS[name]
    back = codec.decode_tensor(data)
    assert back.dtype == wire_dtype(name)
    assert np.array_equal(integers(back), lowest)


@pytest.mark.tensorflow
@pytest.mark.parametrize("name", [*QUANTIZED_DTYPES, "int4", "uint4", "int2", "uint2"])
@pytest.mark.parametrize("typed", [False, True])
def test_the_runtime_reads_what_we_write(name: str, typed: bool) -> None:
    import tensorflow as tf

    values = quantized(np.array([1, 0, 1]).astype(codec.numpy_dtype(name)), name)
    data = codec.encode_tensor(values, typed=typed)
    read = tf.io.parse_tensor(data, tf.dtypes.as_dtype(name)).numpy()
    assert integers(read).astype(int).tolist() == [1, 0, 1]
    assert integers(codec.decode_tensor(data)).astype(int).tolist() == [1, 0, 1]


@pytest.mark.parametrize("layout", ["big-endian", "strided", "broadcast"])
def test_any_layout(layout: str) -> None:
    values = np.arange(6, dtype=">i4" if layout == "big-endian" else "i4").reshape(2, 3)
    values = values[:, ::2] if layout == "strided" else values
    values = np.broadcast_to(values[:1], (4, 3)) if layout == "broadcast" else values
    sent = quantized(values, "qint32")
    assert sent.dtype == wire_dtype("qint32")
    assert np.array_equal(integers(codec.decode_tensor(codec.encode_tensor(sent))), values)


def test_one_value_for_many_elements() -> None:
    message = protos.TensorProto(dtype=DTYPE_NUMBERS["qint8"], int_val=[7])
    message.tensor_shape.dim.add(size=3)
    assert integers(codec.decode_tensor(message.SerializeToString())).tolist() == [7, 7, 7]


@pytest.mark.parametrize(("dtype", "name"), [("uint8", "qint8"), ("int8", "int8"), ("int8", "bool"), ("float64", "x")])
def test_other_dtypes_stay(dtype: str, name: str) -> None:
    array = np.ones(2, dtype)
    assert quantized(array, name) is array
    assert integers(array) is array


def test_inputs_follow_their_specs() -> None:
    specs = {"q": TensorSpec("q", "qint8", (None,)), "x": TensorSpec("x", "int8", (None,))}
    sent = quantized_inputs(specs, {name: np.ones(2, np.int8) for name in ("q", "x", "other")})
    assert [sent[name].dtype for name in ("q", "x", "other")] == [wire_dtype("qint8"), np.int8, np.int8]


def test_replies_hold_integers_and_requests_the_wire_form() -> None:
    values = quantized(np.int8([1, -2]), "qint8")
    reply = codec.encode_predict_response({"y": values}, model="m", version=1, signature="s")
    assert codec.decode_predict_response(reply)["y"].dtype == np.int8
    request = codec.encode_predict_request("m", {"x": values})
    assert codec.decode_predict_request(request).inputs["x"].dtype == values.dtype
