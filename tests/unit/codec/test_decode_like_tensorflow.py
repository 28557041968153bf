# SPDX-License-Identifier: Apache-2.0
"""Any TensorProto is read, or refused, as TensorFlow's own ``Tensor::FromProto`` does it (``tf.io.parse_tensor``)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfs_deploy import codec, protos
from tfs_deploy.errors import InvalidArgumentError
from tfs_deploy.protos.signatures import DTYPE_NUMBERS

#: dtype -> its field of values, the bytes of an element, and values worth a look
FIELDS = {
    "float32": ("float_val", 4, [0.0, -0.0, 1.5, float("nan"), 1e30]),
    "float64": ("double_val", 8, [0.0, 1.5, float("inf")]),
    "int32": ("int_val", 4, [0, -1, 2**31 - 1, -(2**31)]),
    "uint8": ("int_val", 1, [0, -1, 255, 70000]),
    "int16": ("int_val", 2, [0, -1, 70000]),
    "int8": ("int_val", 1, [0, -1, 200]),
    "string": ("string_val", 3, [b"", b"a", b"x" * 30]),
    "complex64": ("scomplex_val", 8, [0.0, 1.5]),
    "int64": ("int64_val", 8, [0, -1, 2**63 - 1, -(2**63)]),
    "bool": ("bool_val", 1, [False, True]),
    "uint16": ("int_val", 2, [0, 70000]),
    "complex128": ("dcomplex_val", 16, [0.0, 1.5]),
    "float16": ("half_val", 2, [0, 15360, -1, 70000]),
    "uint32": ("uint32_val", 4, [0, 2**32 - 1]),
    "uint64": ("uint64_val", 8, [0, 2**64 - 1]),
    "bfloat16": ("half_val", 2, [0, 16256, -1]),
}


@st.composite
def messages(draw: st.DrawFn) -> Any:
    """Messages that are nearly right: some values too few or too many, content of another length."""
    dtype = draw(st.sampled_from(sorted(FIELDS)))
    field, size, values = FIELDS[dtype]
    message = protos.TensorProto(dtype=DTYPE_NUMBERS[dtype])
    dims = draw(st.lists(st.integers(0, 3) | st.just(-1), max_size=3))
    for length in dims:
        message.tensor_shape.dim.add(size=length)
    count = int(np.prod([max(length, 0) for length in dims], dtype=int))
    if draw(st.booleans()):
        length = max(0, count * size + draw(st.sampled_from([0, 0, 0, 1, -1, size])))
        message.tensor_content = draw(st.binary(min_size=length, max_size=length))
    if draw(st.booleans()):
        number = max(0, count + draw(st.sampled_from([0, 0, 1, -1])))
        number *= 2 if "complex" in dtype else 1
        getattr(message, field).extend(
            draw(st.lists(st.sampled_from(values), min_size=number, max_size=number + draw(st.integers(0, 1))))
        )
    return message


@settings(max_examples=300)
@given(messages())
def test_as_tensorflow_reads_it(message: Any) -> None:
    tf = pytest.importorskip("tensorflow")
    data = message.SerializeToString()
    try:
        expected = tf.io.parse_tensor(data, tf.as_dtype(message.dtype)).numpy()
    except tf.errors.InvalidArgumentError:
        with pytest.raises(InvalidArgumentError, match=r"^tensor parsing error"):
            codec.decode_tensor(data)
        return
    found = codec.decode_tensor(data)
    assert found.shape == np.shape(expected)
    if found.dtype.kind == "O":
        assert found.tolist() == (expected if isinstance(expected, bytes) else expected.tolist())
    else:
        assert found.dtype == np.asarray(expected).dtype
        assert found.tobytes() == np.asarray(expected).tobytes()


def test_bools_are_looked_at_in_every_message() -> None:
    good = codec.encode_predict_request("m", {"b": np.array([True, False])})
    bad = good.replace(b"\x01\x00", b"\x02\x00")
    assert len(bad) == len(good)
    assert bad != good
    for _ in range(3):
        assert codec.decode_predict_request(good).inputs["b"].tolist() == [True, False]
    with pytest.raises(InvalidArgumentError, match="tensor parsing error: b"):
        codec.decode_predict_request(bad)
