# SPDX-License-Identifier: Apache-2.0
"""TensorProto bytes whose right array is known: each rule on both sides of its limit."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.codec.decode import MAX_FILLED, decode_tensor
from tfs_deploy.codec.wire import delimited, varint
from tfs_deploy.errors import DataLossError, InvalidArgumentError

FLOAT, INT32, STRING, COMPLEX, INT64, BOOL, HALF = 1, 3, 7, 8, 9, 10, 19


def tensor(dtype: int, sizes: list[int] | None, rest: bytes = b"") -> bytes:
    shape = b"".join(delimited(b"\x12", b"\x08" + varint(size)) for size in sizes or ())
    return b"\x08" + varint(dtype) + (delimited(b"\x12", shape) if sizes is not None else b"") + rest


def content(data: bytes) -> bytes:
    return delimited(b"\x22", data)


def field(number: int, kind: int, data: bytes) -> bytes:
    return varint(number << 3 | kind) + (delimited(b"", data) if kind == 2 else data)


CASES = {
    "content": (tensor(FLOAT, [2], content(np.array([1, 2], "<f4").tobytes())), [1.0, 2.0]),
    "content wins": (tensor(INT32, [1], content(b"\5\0\0\0") + field(7, 0, b"\x09")), [5]),
    "content of nothing": (tensor(INT32, [0], content(b"\1")), []),
    "no content": (tensor(INT32, [1], content(b"") + field(7, 0, b"\x09")), [9]),
    "packed and one by one": (tensor(INT32, [3], field(7, 2, b"\1\2") + field(7, 0, b"\3")), [1, 2, 3]),
    "one by one": (tensor(INT32, [2], field(7, 0, b"\1") + field(7, 0, b"\3")), [1, 3]),
    "negative": (tensor(INT64, [1], field(10, 0, varint(-7))), [-7]),
    "more values than elements": (tensor(INT32, [1], field(7, 2, b"\1\2")), [1]),
    "fewer values": (tensor(INT32, [4], field(7, 2, b"\1\2")), [1, 2, 2, 2]),
    "one value": (tensor(INT32, [3], field(7, 0, b"\4")), [4, 4, 4]),
    "no value": (tensor(INT32, [2]), [0, 0]),
    "no string": (tensor(STRING, [2]), [b"", b""]),
    "strings": (tensor(STRING, [2], field(8, 2, b"a") + field(8, 2, b"bc")), [b"a", b"bc"]),
    "one string": (tensor(STRING, [2], field(8, 2, b"a")), [b"a", b"a"]),
    "strings in one block": (tensor(STRING, [2], content(b"\1\2abc")), [b"a", b"bc"]),
    "floats packed": (tensor(FLOAT, [2], field(5, 2, np.array([1, 2], "<f4").tobytes())), [1.0, 2.0]),
    "floats one by one": (
        tensor(FLOAT, [2], b"".join(field(5, 5, np.float32(value).tobytes()) for value in (1, 2))),
        [1.0, 2.0],
    ),
    "complex": (tensor(COMPLEX, [1], field(9, 2, np.array([1, 2, 3], "<f4").tobytes())), [1 + 2j]),
    "half": (tensor(HALF, [1], field(13, 0, varint(0x3C00))), [1.0]),
    "bools": (tensor(BOOL, [3], field(11, 2, b"\0\1\2")), [False, True, True]),
    "bools as content": (tensor(BOOL, [2], content(b"\0\1")), [False, True]),
    "unknown rank": (tensor(INT32, None, field(7, 0, b"\4")), 4),
    "a scalar": (tensor(INT32, [], field(7, 0, b"\4")), 4),
    "other fields": (tensor(INT32, [1], field(3, 0, b"\1") + field(7, 0, b"\4") + field(99, 2, b"x")), [4]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_read(case):
    data, expected = CASES[case]
    found = decode_tensor(data)
    assert found.tolist() == expected
    assert not found.flags.writeable
    assert decode_tensor(memoryview(bytearray(data))).tolist() == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (tensor(0, [1]), "the dtype is missing"),
        *((tensor(number, [1]), f"dtype {number} is unknown") for number in (63, 64, 65, 99)),
        (tensor(INT32, [1], content(b"\1\2\3")), "tensor_content has 3 bytes instead of 4"),
        (tensor(INT32, [2], content(b"\1\2\3\4")), "tensor_content has 4 bytes instead of 8"),
        (tensor(BOOL, [2], content(b"\0\2")), "bytes other than 0 and 1"),
        (tensor(INT32, [1] * 255), "255 dimensions, more than 254"),
        (tensor(INT32, [-1]), "is not possible"),
        (tensor(INT32, [2**62, 2]), "is not possible"),
        (tensor(STRING, [2], content(b"\1\2ab")), "do not add up"),
        (tensor(STRING, [2], content(b"\1\1abc")), "do not add up"),
        (tensor(STRING, [3], content(b"\0\0")), "too short for 3 strings"),
        (tensor(STRING, [2], content(b"\0\x80")), "too short for 2 strings"),
    ],
)
def test_what_does_not_make_a_tensor(data, message):
    with pytest.raises(InvalidArgumentError, match=message):
        decode_tensor(data)


@pytest.mark.parametrize("rest", [field(5, 2, b"12345"), b"\x22\x09abc"])
def test_what_is_not_a_tensor_proto(rest):
    with pytest.raises(DataLossError, match="not a TensorProto"):
        decode_tensor(tensor(FLOAT, [1], rest))


def test_254_dimensions_are_too_many_for_numpy_only():
    with pytest.raises(InvalidArgumentError, match="numpy cannot make the tensor"):
        decode_tensor(tensor(INT32, [1] * 254))


@pytest.mark.parametrize(("dtype", "size"), [(INT32, 4), (INT64, 8), (BOOL, 1), (STRING, 64)])
def test_no_more_is_filled_than_64_mib(dtype, size):
    most = MAX_FILLED // size
    assert MAX_FILLED == 64 << 20
    assert decode_tensor(tensor(dtype, [most])).shape == (most,)
    with pytest.raises(InvalidArgumentError, match=f"too few values: {most + 1} elements, of which the message has 0"):
        decode_tensor(tensor(dtype, [most + 1]))


def test_repeated_shapes_are_joined():
    shape = delimited(b"\x12", delimited(b"\x12", b"\x08\x02"))
    assert decode_tensor(b"\x08\x03" + shape + shape).shape == (2, 2)


@pytest.mark.parametrize(
    ("dtype", "number"),
    [
        *((dtype, 7) for dtype in (3, 4, 5, 6, 11, 12, 13, 15, 16, 17, 29, 30)),
        *((9, 10), (10, 11), (22, 16), (23, 17)),
    ],
)
def test_integers_of_each_dtype_are_in_their_field(dtype, number):
    for data in (field(number, 0, b"\1"), field(number, 2, b"\1")):
        found = decode_tensor(tensor(dtype, [1], data + field(30, 0, b"\3")))
        assert found.astype(np.int64).tolist() == [1]
