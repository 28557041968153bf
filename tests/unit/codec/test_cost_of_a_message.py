# SPDX-License-Identifier: Apache-2.0
"""What a message costs to read is bounded by its bytes, whatever it asks for."""

from __future__ import annotations

import contextlib
import time
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tfs_deploy import codec
from tfs_deploy.codec.decode import MAX_FILLED
from tfs_deploy.codec.wire import delimited, varint
from tfs_deploy.errors import InvalidArgumentError, TfsDeployError

if TYPE_CHECKING:
    from collections.abc import Callable

#: bytes of memory that reading a message of a few kilobytes may take
FEW = 4 << 20


def tensor(dtype: int, size: int, values: bytes = b"") -> bytes:
    """A TensorProto with one dimension and values that are already fields."""
    shape = delimited(b"\x12", delimited(b"\x12", b"\x08" + varint(size)))
    return b"\x08" + varint(dtype) + shape + values


def entry(field: bytes, name: str, value: bytes) -> bytes:
    return delimited(field, delimited(b"\x0a", name.encode()) + delimited(b"\x12", value))


def request(*tensors: bytes) -> bytes:
    return delimited(b"\x0a", b"\x0a\x01m") + b"".join(entry(b"\x12", f"x{i}", each) for i, each in enumerate(tensors))


def memory_of(read: Callable[[], Any]) -> int:
    """Return the most memory that a call takes."""
    tracemalloc.start()
    try:
        with contextlib.suppress(TfsDeployError):
            read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


ONE_FLOAT = b"\x2d\x00\x00\x80\x3f"
ONE_TEXT = delimited(b"\x42", b"ab")


@pytest.mark.parametrize("tensors", [40, 4, 1])
@pytest.mark.parametrize("values", [b"", ONE_FLOAT])
@pytest.mark.parametrize("size", [2**26 - 1, 2**23, 2**24])
def test_one_value_for_millions_takes_no_memory(tensors: int, values: bytes, size: int) -> None:
    data = request(*[tensor(1, size, values)] * tensors)
    assert memory_of(lambda: codec.decode_predict_request(data)) < FEW
    reply = b"".join(entry(b"\x0a", f"y{i}", tensor(1, size, values)) for i in range(tensors))
    assert memory_of(lambda: codec.decode_predict_response(reply)) < FEW


def test_a_few_values_for_millions_are_one_budget_for_the_message() -> None:
    half = MAX_FILLED // 8
    whole = codec.decode_predict_request(request(*[tensor(1, half, ONE_FLOAT * 2)] * 2))
    assert whole.filled_bytes == MAX_FILLED
    assert whole.inputs["x1"].sum() == half
    with pytest.raises(InvalidArgumentError) as caught:
        codec.decode_predict_request(request(*[tensor(1, half, ONE_FLOAT * 2)] * 3))
    assert "more than it has values for" in (caught.value.hint or "")


def test_strings_count_for_what_they_cost() -> None:
    assert codec.decode_predict_request(request(tensor(7, 2**20, ONE_TEXT))).inputs["x0"][-1] == b"ab"
    with pytest.raises(InvalidArgumentError):
        codec.decode_predict_request(request(tensor(7, 2**20 + 1, ONE_TEXT)))


@pytest.mark.parametrize("dtype", [1, 3, 7, 9, 10, 14, 19, 23])
@pytest.mark.parametrize("shape", [(), (3,), (2, 0), (2, 3, 4)])
def test_what_is_not_sent_is_zero_or_empty(dtype: int, shape: tuple[int, ...]) -> None:
    dims = b"".join(delimited(b"\x12", b"\x08" + varint(size)) for size in shape)
    array = codec.decode_tensor(b"\x08" + varint(dtype) + delimited(b"\x12", dims))
    assert array.shape == shape
    assert not array.flags.writeable
    assert all(value in (0, b"") for value in array.ravel().tolist())
    np.testing.assert_array_equal(codec.decode_tensor(codec.encode_tensor(array)), array)


def test_a_message_that_asks_for_more_is_never_taken_for_a_layout_that_is_known() -> None:
    padding = b"z" * 64
    for value in (1.0, 2.0):
        field = b"\x2d" + np.float32(value).tobytes()
        data = delimited(b"\x0a", b"\x0a\x01m") + entry(b"\x12", "x", tensor(1, 4, field)) + delimited(b"\x1a", padding)
        assert codec.decode_predict_request(data).inputs["x"].tolist() == [value] * 4


DIM = delimited(b"\x12", b"\x08\x01")


@pytest.mark.parametrize(
    ("make", "count"),
    [
        (lambda n: b"\x08\x01" + delimited(b"\x12", DIM) * n, 20_000),
        (lambda n: b"\x08\x01" + delimited(b"\x12", delimited(b"\x12", b"\x08" + varint(2**62)) * n), 20_000),
        (lambda n: b"\x08\x07" + delimited(b"\x12", delimited(b"\x12", b"\x08\x05")) + ONE_TEXT * n, 20_000),
        (lambda n: b"\x08\x09" + delimited(b"\x12", delimited(b"\x12", b"\x08\x05")) + b"\x50\x01" * n, 20_000),
        (lambda n: tensor(7, n, delimited(b"\x22", b"\x01" * n + b"a" * n)), 20_000),
    ],
    ids=["shapes", "dimensions", "strings", "varints", "string content"],
)
def test_reading_a_tensor_is_linear(make: Callable[[int], bytes], count: int) -> None:
    """Four times the bytes take about four times as long; where it was quadratic, sixteen times."""

    def seconds(size: int) -> float:
        data = make(size)
        best = float("inf")
        for _ in range(5):
            started = time.thread_time()
            with contextlib.suppress(TfsDeployError):
                codec.decode_tensor(data)
            best = min(best, time.thread_time() - started)
        return best

    assert seconds(4 * count) < 10 * seconds(count)


@pytest.mark.parametrize("field", [b"\x0a", b"\x12"])
def test_reading_a_model_spec_in_many_pieces_is_linear(field: bytes) -> None:
    read = codec.decode_predict_request if field == b"\x0a" else codec.decode_predict_response

    def seconds(pieces: int) -> float:
        data = delimited(field, delimited(b"\x0a", b"m" * 20)) * pieces
        best = float("inf")
        for _ in range(5):
            started = time.thread_time()
            read(data)
            best = min(best, time.thread_time() - started)
        return best

    assert seconds(80_000) < 10 * seconds(20_000)
