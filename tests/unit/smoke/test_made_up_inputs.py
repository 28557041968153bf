# SPDX-License-Identifier: Apache-2.0
"""Inputs made from a signature, and outputs held against it."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec
from tfs_deploy.smoke.made_up_inputs import made_up_inputs, output_mismatch


def signature(*specs: TensorSpec) -> SignatureInfo:
    tensors = {spec.name: spec for spec in specs}
    return SignatureInfo("serving_default", "tensorflow/serving/predict", tensors, tensors)


@pytest.mark.parametrize(
    ("dtype", "shape", "expected"),
    [
        ("float32", (None, 8, 8), np.ones((1, 8, 8), np.float32)),
        ("int64", (), np.ones((), np.int64)),
        ("bool", (None,), np.ones(1, bool)),
        ("uint8", None, np.ones(1, np.uint8)),
        ("string", (None, 2), np.array([[b"", b""]], object)),
    ],
)
def test_free_sizes_are_one_and_values_are_ones(dtype, shape, expected):
    made_up = made_up_inputs(signature(TensorSpec("x", dtype, shape)))["x"]

    assert made_up.dtype == expected.dtype
    assert made_up.shape == expected.shape
    assert (made_up == expected).all()


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        ({"x": np.zeros((5, 3), np.float32)}, None),
        ({"x": np.zeros((5, 3), np.float32), "more": np.zeros(1)}, None),
        ({"y": np.zeros((5, 3), np.float32)}, "output 'x' is missing; the reply has ['y']"),
        ({"x": np.zeros((5, 3))}, "output 'x' is float64 instead of float32"),
        ({"x": np.zeros((5, 4), np.float32)}, "output 'x' has shape [5, 4], which does not fit float32 [?, 3]"),
        ({"x": np.zeros(5, np.float32)}, "output 'x' has shape [5], which does not fit float32 [?, 3]"),
    ],
)
def test_a_reply_is_held_against_the_signature(outputs, problem):
    assert output_mismatch(signature(TensorSpec("x", "float32", (None, 3))), outputs) == problem


def test_an_output_of_any_rank_fits():
    assert (
        output_mismatch(signature(TensorSpec("x", "float32", None)), {"x": np.zeros((1, 2, 3, 4), np.float32)}) is None
    )
