# SPDX-License-Identifier: Apache-2.0
"""Which requests can be sent over REST."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.errors import DeadlineExceededError, StatusError, UnavailableError
from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.verify.probing.cases import (
    Case,
)
from tfs_deploy.verify.probing.prober import GRPC, Answer, Prober, rest_obstacle

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


class Refusing:
    """Stands for a client: each call ends with one error."""

    def __init__(self, error: StatusError) -> None:
        self.error, self.calls = error, 0

    def predict(self, *args, **more):
        self.calls += 1
        raise self.error


@pytest.mark.parametrize("kind", [UnavailableError, DeadlineExceededError])
@pytest.mark.parametrize(("reached", "lost"), [(True, False), (False, True), (None, True)])
def test_a_server_that_answers_is_not_lost_whatever_the_code(kind, reached, lost):
    client = Refusing(kind("the model says so", reached=reached))
    prober = Prober("m", 1, client, None, None, timeout=5.0)

    first, second = (prober.probe(Case("s", name, ONES.inputs, 1), GRPC) for name in ("a", "b"))

    assert (first.lost, second.lost, client.calls) == (lost, lost, 1 if lost else 2)
    assert first.late is (lost and kind is DeadlineExceededError)
    assert prober.hangs("s") is first.late
    assert not Answer().late
