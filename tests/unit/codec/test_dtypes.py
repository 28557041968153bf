# SPDX-License-Identifier: Apache-2.0
"""DataType numbers, names and numpy dtypes."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy import codec
from tfs_deploy.errors import EnvironmentFault, RequestError
from tfs_deploy.protos.signatures import DTYPE_NAMES


@pytest.mark.parametrize("number", sorted(set(DTYPE_NAMES) - {11, 12, 13, 15, 16, 20, 21}))
def test_numbers_and_dtypes_are_one_to_one(number: int) -> None:
    dtype = codec.numpy_dtype(number)
    assert codec.numpy_dtype(DTYPE_NAMES[number]) is dtype
    assert codec.dtype_number(dtype) == number


@pytest.mark.parametrize(("name", "plain"), [("qint8", "int8"), ("quint16", "uint16"), ("qint32", "int32")])
def test_quantized_types_are_plain_integers(name: str, plain: str) -> None:
    assert codec.numpy_dtype(name) == np.dtype(plain)


@pytest.mark.parametrize("name", ["resource", "variant", "float128", 20, 99, 0])
def test_types_without_counterpart(name: str | int) -> None:
    with pytest.raises(RequestError, match="has no numpy counterpart"):
        codec.numpy_dtype(name)


@pytest.mark.parametrize("dtype", ["M8[s]", "longdouble", [("a", "i4")]])
def test_dtypes_that_tensorflow_lacks(dtype: object) -> None:
    with pytest.raises(RequestError, match="cannot be sent to TensorFlow Serving"):
        codec.dtype_number(np.dtype(dtype))  # type: ignore[call-overload]


@pytest.mark.parametrize("dtype", ["S5", "U5", "O"])
def test_text_dtypes_are_strings(dtype: str) -> None:
    assert codec.dtype_number(np.dtype(dtype)) == 7


@pytest.mark.tensorflow
def test_the_table_is_tensorflows() -> None:
    import tensorflow as tf

    for number in set(DTYPE_NAMES) - {20, 21}:
        name = tf.dtypes.as_dtype(number).as_numpy_dtype
        if number not in (11, 12, 13, 15, 16, 7):
            assert codec.numpy_dtype(number) == np.dtype(name)


def test_without_ml_dtypes_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    codec.numpy_dtype.cache_clear()
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(EnvironmentFault, match="bfloat16 needs the package ml_dtypes") as caught:
        codec.numpy_dtype("bfloat16")
    assert caught.value.hint == "pip install ml_dtypes"
