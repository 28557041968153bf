"""Which requests can be sent over REST."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.verify.probing.cases import (
    Case,
)
from tfs_deploy.verify.probing.prober import rest_obstacle

Y = {"y": TensorSpec("y", "float32", (None,))}
X = SignatureInfo("s", PREDICT_METHOD, {"x": TensorSpec("x", "float32", (None,))}, Y)
ONES = Case("s", "ones", {"x": np.ones(1, np.float32)}, 1)


@pytest.mark.parametrize(
    ("dtype", "output", "case", "can"),
    [
        ("float32", "y", ONES, True),
        ("float16", "y", ONES, False),
        ("float32", "y", Case("s", "none", {}), False),
        ("float32", "y", Case("s", "empty", ONES.inputs, 0), False),
        ("string", "t", Case("s", "odd", ONES.inputs, 1, binary=True), False),
        ("string", "t_bytes", Case("s", "odd", ONES.inputs, 1, binary=True), True),
    ],
)
def test_what_rest_can_carry(dtype, output, case, can):
    signature = SignatureInfo("s", PREDICT_METHOD, X.inputs, {output: TensorSpec(output, dtype, (None,))})
    assert (rest_obstacle(signature, case) == "") is can
