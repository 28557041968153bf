# SPDX-License-Identifier: Apache-2.0
"""Messages read by the layout of an earlier one: the same result, and the same error, as by parsing them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy import codec
from tfs_deploy.codec import predict
from tfs_deploy.codec.layout_cache import LayoutCache
from tfs_deploy.errors import StatusError

INPUTS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([1.5]), "c": np.array(7, np.int64)}
REQUEST = codec.encode_predict_request("model", INPUTS, signature="s", version=3, output_filter=["y"])
RESPONSE = codec.encode_predict_response({"a": INPUTS["a"], "b": INPUTS["b"]}, model="model", version=3, signature="s")


def outcome(decode: Any, data: bytes) -> Any:
    try:
        message = decode(data)
    except StatusError as error:
        return type(error), error.message
    arrays = message.inputs if isinstance(message, codec.PredictCall) else message.outputs
    plain = {name: (array.dtype, array.shape, array.tobytes(), array.flags.writeable) for name, array in arrays.items()}
    return plain, message.model, message.signature, message.version


@pytest.mark.parametrize(
    ("decode", "message"), [(codec.decode_predict_request, REQUEST), (codec.decode_predict_response, RESPONSE)]
)
@given(data=st.data())
def test_a_changed_byte_is_seen(decode: Any, message: bytes, data: st.DataObject) -> None:
    """After ``message`` is known, one that differs in a byte reads as it does for a parser that never saw it."""
    where = data.draw(st.integers(0, len(message) - 1))
    changed = message[:where] + bytes([data.draw(st.integers(0, 255))]) + message[where + 1 :]
    predict._requests = LayoutCache()
    predict._responses = LayoutCache()
    fresh = outcome(decode, changed)
    decode(message)
    assert outcome(decode, changed) == fresh
    assert outcome(decode, message) == outcome(decode, bytearray(message))


def test_only_the_values_of_the_next_message_are_read() -> None:
    cache: LayoutCache[str] = LayoutCache()
    first = codec.encode_predict_response({"y": np.array([1, 2], np.float32)}, model="m", version=1, signature="s")
    cache.learn(first, "head", codec.decode_predict_response(first).outputs)
    second = codec.encode_predict_response({"y": np.array([3, 4], np.float32)}, model="m", version=1, signature="s")
    found = cache.read(second)
    assert found is not None
    head, arrays = found
    assert (head, arrays["y"].tolist()) == ("head", [3, 4])
    assert not arrays["y"].flags.writeable
    other = codec.encode_predict_response({"y": np.array([3, 4], np.float32)}, model="m", version=2, signature="s")
    assert len(other) == len(second)
    assert cache.read(other) is None


@pytest.mark.parametrize(
    "outputs",
    [
        {"y": np.array([1, 2])},
        {"y": np.array(["a"])},
        {"y": np.zeros((0, 3), np.float32)},
        {"y": np.ones(3, np.float32), "label": np.array([1])},
        {},
    ],
)
def test_messages_whose_values_are_not_memory_are_parsed(outputs: dict[str, Any]) -> None:
    data = codec.encode_predict_response(outputs, model="m", version=1, signature="s")
    cache: LayoutCache[str] = LayoutCache()
    cache.learn(data, "", codec.decode_predict_response(data).outputs)
    assert cache.read(data) is None


def test_the_cache_is_bounded() -> None:
    cache: LayoutCache[str] = LayoutCache()
    for size in range(1, 400):
        data = codec.encode_predict_response({"y": np.zeros(size, np.float32)}, model="m", version=1, signature="s")
        cache.learn(data, "", codec.decode_predict_response(data).outputs)
    assert 0 < len(cache._layouts) <= 256
