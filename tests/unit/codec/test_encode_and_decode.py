# SPDX-License-Identifier: Apache-2.0
"""Tensors through our codec, through protobuf's classes and through TensorFlow's own helpers: all must agree."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfs_deploy import codec, protos

# TensorFlow 2.21's own make_ndarray does this, and NumPy 2.5 (Python 3.12 and newer) warns of it.
pytestmark = pytest.mark.filterwarnings("ignore:Setting the dtype on a NumPy array:DeprecationWarning")

NUMERIC = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "complex64", "complex128"),
]
ML = [ml_dtypes.bfloat16, ml_dtypes.float8_e5m2, ml_dtypes.float8_e4m3fn]
shapes = hnp.array_shapes(min_dims=0, max_dims=8, min_side=0, max_side=3)


@st.composite
def numeric_arrays(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    """Arrays of every numeric dtype, in either byte order, contiguous or not."""
    dtype = np.dtype(draw(st.sampled_from(NUMERIC))).newbyteorder(draw(st.sampled_from("<>")))
    array = draw(hnp.arrays(dtype, draw(shapes)))
    layout = draw(st.sampled_from(["C", "transposed", "strided"]))
    if layout == "transposed":
        return array.T
    if layout == "strided" and array.ndim:
        return np.repeat(array, 2, axis=-1)[..., ::2]
    return array


@st.composite
def string_arrays(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    return draw(hnp.arrays(object, draw(shapes), elements=st.binary(max_size=200)))


@st.composite
def ml_arrays(draw: st.DrawFn) -> np.ndarray[Any, Any]:
    dtype = np.dtype(draw(st.sampled_from(ML)))
    bits = draw(hnp.arrays(np.uint16 if dtype.itemsize == 2 else np.uint8, draw(shapes)))
    return bits.view(dtype) if bits.ndim else bits.reshape(1).view(dtype).reshape(())


tensors = st.one_of(numeric_arrays(), string_arrays(), ml_arrays())


def same(actual: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> None:
    """Equal in dtype, shape and every bit (NaN payloads included)."""
    assert actual.dtype == expected.dtype.newbyteorder("=")
    assert actual.shape == expected.shape
    if actual.dtype == object:
        assert actual.tolist() == expected.tolist()
    else:
        native = np.ascontiguousarray(expected).astype(expected.dtype.newbyteorder("="))
        assert actual.tobytes() == native.tobytes()


@given(array=tensors, typed=st.booleans())
def test_decode_returns_what_was_encoded(array: np.ndarray[Any, Any], typed: bool) -> None:
    same(codec.decode_tensor(codec.encode_tensor(array, typed=typed)), array)


@given(array=tensors, typed=st.booleans())
def test_protobuf_reads_the_same_bytes(array: np.ndarray[Any, Any], typed: bool) -> None:
    """Our bytes parse without unknown fields, and protobuf would write the same ones."""
    data = codec.encode_tensor(array, typed=typed)
    message = protos.TensorProto.FromString(data)
    assert [dim.size for dim in message.tensor_shape.dim] == list(array.shape)
    assert message.dtype == codec.dtype_number(array.dtype)
    assert message.SerializeToString(deterministic=True) == data


@pytest.mark.tensorflow
@given(array=tensors, typed=st.booleans())
def test_tensorflow_reads_what_we_write(array: np.ndarray[Any, Any], typed: bool) -> None:
    import tensorflow as tf

    if array.dtype.itemsize == 1 and array.dtype.kind == "V":
        typed = False  # make_ndarray cannot read float8_val
    message = tf.make_tensor_proto(0.0).FromString(codec.encode_tensor(array, typed=typed))
    same(tf.make_ndarray(message), array)


@pytest.mark.tensorflow
@given(array=tensors)
@example(array=np.zeros((3, 0), object))
def test_we_read_what_tensorflow_writes(array: np.ndarray[Any, Any]) -> None:
    import tensorflow as tf

    # make_tensor_proto takes the bytes of big-endian arrays as they are
    native = array.astype(array.dtype.newbyteorder("="))
    same(codec.decode_tensor(tf.make_tensor_proto(native).SerializeToString()), array)


@pytest.mark.tensorflow
@given(array=st.one_of(numeric_arrays(), string_arrays()))
def test_we_read_the_typed_fields_that_the_runtime_writes(array: np.ndarray[Any, Any]) -> None:
    """A server fills the ``*_val`` fields with ``Tensor::AsProtoField``; protobuf serializes them packed."""
    data = codec.encode_tensor(array, typed=True)
    message = protos.TensorProto.FromString(data)
    assert not message.tensor_content
    import tensorflow as tf

    theirs = tf.make_ndarray(tf.make_tensor_proto(0.0).FromString(message.SerializeToString()))
    same(codec.decode_tensor(data), theirs)


@given(values=st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=30))
def test_unpacked_values_are_read_like_packed_ones(values: list[int]) -> None:
    """Writers from before proto3 send each value with a tag of its own; both may even be mixed."""
    packed = codec.encode_tensor(np.array(values, np.int32), typed=True)
    head = protos.TensorProto.FromString(packed)
    head.ClearField("int_val")
    one_by_one = b"".join(
        b"\x38" + part.SerializeToString()[2:] for part in (protos.TensorProto(int_val=[v]) for v in values)
    )
    # a packed field with one value is tag, length, varint: the varint is what follows the first two bytes
    same(codec.decode_tensor(head.SerializeToString() + one_by_one), np.array(values, np.int32))
    half = len(values) // 2
    mixed = protos.TensorProto(int_val=values[:half]).SerializeToString() + b"".join(
        b"\x38" + protos.TensorProto(int_val=[v]).SerializeToString()[2:] for v in values[half:]
    )
    same(codec.decode_tensor(head.SerializeToString() + mixed), np.array(values, np.int32))


@pytest.mark.parametrize(
    ("field", "dtype", "tag", "pack"),
    [("float_val", "float32", b"\x2d", "<f4"), ("double_val", "float64", b"\x31", "<f8")],
)
def test_unpacked_floats(field: str, dtype: str, tag: bytes, pack: str) -> None:
    head = protos.TensorProto(dtype=codec.dtype_number(np.dtype(dtype)))
    head.tensor_shape.dim.add(size=3)
    values = np.array([1.5, -2.25, np.inf], dtype)
    data = head.SerializeToString() + b"".join(tag + value.astype(pack).tobytes() for value in values)
    assert list(getattr(protos.TensorProto.FromString(data), field)) == values.tolist()
    same(codec.decode_tensor(data), values)


def _short(dtype: str, field: str, values: list[Any], size: int) -> Any:
    message = protos.TensorProto(dtype=codec.dtype_number(np.dtype(dtype)))
    message.tensor_shape.dim.add(size=size)
    getattr(message, field).extend(values)
    return message


@pytest.mark.parametrize(
    ("dtype", "field", "values", "expected"),
    [
        ("float32", "float_val", [3.0], [3.0, 3.0, 3.0, 3.0]),
        ("float32", "float_val", [1.0, 2.0], [1.0, 2.0, 2.0, 2.0]),
        ("float64", "double_val", [1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 3.0]),
        ("float16", "half_val", [0x3E00], [1.5, 1.5, 1.5, 1.5]),
        ("int8", "int_val", [-1], [-1, -1, -1, -1]),
        ("uint8", "int_val", [200, 7], [200, 7, 7, 7]),
        ("int64", "int64_val", [-(2**63)], [-(2**63)] * 4),
        ("uint32", "uint32_val", [2**32 - 1], [2**32 - 1] * 4),
        ("uint64", "uint64_val", [2**64 - 1], [2**64 - 1] * 4),
        ("bool", "bool_val", [False, True], [False, True, True, True]),
        ("complex64", "scomplex_val", [1.0, 2.0], [1 + 2j] * 4),
        ("complex128", "dcomplex_val", [1.0, 2.0, 3.0, 4.0], [1 + 2j, 3 + 4j, 3 + 4j, 3 + 4j]),
        ("object", "string_val", [b"a", b"bc"], [b"a", b"bc", b"bc", b"bc"]),
        ("float32", "float_val", [], [0.0] * 4),
        ("bool", "bool_val", [], [False] * 4),
        ("complex64", "scomplex_val", [], [0j] * 4),
        ("object", "string_val", [], [b""] * 4),
        ("float32", "float_val", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 2.0, 3.0, 4.0]),
        ("object", "string_val", [b"1", b"2", b"3", b"4", b"5"], [b"1", b"2", b"3", b"4"]),
    ],
)
def test_the_last_value_repeats_and_surplus_values_are_ignored(
    dtype: str, field: str, values: list[Any], expected: list[Any]
) -> None:
    message = _short(dtype, field, values, 4)
    same(codec.decode_tensor(message.SerializeToString()), np.array(expected, dtype))


def test_bfloat16_values_are_bit_patterns() -> None:
    message = protos.TensorProto(dtype=14, half_val=[0x3FC0])
    message.tensor_shape.dim.add(size=2)
    same(codec.decode_tensor(message.SerializeToString()), np.array([1.5, 1.5], ml_dtypes.bfloat16))


def test_tensor_content_wins_over_values() -> None:
    message = _short("float32", "float_val", [9.0, 9.0], 2)
    message.tensor_content = np.array([1.0, 2.0], "<f4").tobytes()
    same(codec.decode_tensor(message.SerializeToString()), np.array([1.0, 2.0], np.float32))


def test_strings_in_tensor_content() -> None:
    """With --enable_serialization_as_tensor_content strings are one block: lengths, then bytes."""
    message = _short("object", "string_val", [], 3)
    message.tensor_content = b"\x02\x00\xc8\x01" + b"ab" + b"x" * 200
    same(codec.decode_tensor(message.SerializeToString()), np.array([b"ab", b"", b"x" * 200], object))


def test_unknown_rank_is_a_scalar() -> None:
    message = protos.TensorProto(dtype=1, float_val=[1.5])
    message.tensor_shape.unknown_rank = True
    same(codec.decode_tensor(message.SerializeToString()), np.array(1.5, np.float32))


def test_arrays_are_read_only_views() -> None:
    data = codec.encode_tensor(np.arange(1000, dtype=np.float32), typed=True)
    array = codec.decode_tensor(data)
    assert np.shares_memory(array, np.frombuffer(data, np.uint8))
    assert not array.flags.writeable
    assert not codec.decode_tensor(codec.encode_tensor(np.arange(3), typed=True)).flags.writeable


def test_other_buffers_than_bytes_are_read() -> None:
    data = codec.encode_tensor(np.arange(5, dtype=np.float32))
    for buffer in (bytearray(data), memoryview(data)):
        array = codec.decode_tensor(buffer)
        assert array.tolist() == [0, 1, 2, 3, 4]
        assert not array.flags.writeable


@pytest.mark.parametrize("size", [1, 23, 24, 60, 5000])
def test_long_varint_fields(size: int) -> None:
    """Short packed fields take a loop, long ones numpy; lengths of one to ten bytes in both."""
    values = np.resize(np.array([0, 127, 128, -1, 2**62, -(2**63), 300, 2**35], np.int64), size)
    message = protos.TensorProto(dtype=9, int64_val=values.tolist())
    message.tensor_shape.dim.add(size=size)
    data = message.SerializeToString()
    same(codec.decode_tensor(data), values)
    assert protos.TensorProto.FromString(codec.encode_tensor(values, typed=True)) == message
