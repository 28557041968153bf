# SPDX-License-Identifier: Apache-2.0
"""Invalid requests, and how their answers are judged."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.errors import DeadlineExceededError, InternalError, InvalidArgumentError, UnavailableError
from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.verify.checks import CheckStatus
from tfs_deploy.verify.groups.refusals import judge_http, judge_refusal, wrong_cases
from tfs_deploy.verify.probing.cases import (
    Case,
)
from tfs_deploy.verify.probing.prober import Answer

Y = {"y": TensorSpec("y", "float32", (None,))}
X = SignatureInfo("s", PREDICT_METHOD, {"x": TensorSpec("x", "float32", (None,))}, Y)
ONES = Case("s", "ones", {"x": np.ones(1, np.float32)}, 1)


def right(rows: int = 1, version: int | None = 1) -> Answer:
    return Answer({"y": np.ones(rows, np.float32)}, version)


@pytest.mark.parametrize(
    ("answer", "may_fit", "local", "status"),
    [
        (Answer(error=InvalidArgumentError("no")), False, None, CheckStatus.PASSED),
        (right(), False, None, CheckStatus.FAILED),
        (right(), True, None, CheckStatus.SKIPPED),
        (Answer(error=InternalError("no")), True, None, CheckStatus.FAILED),
        (Answer(error=InternalError("no")), True, Answer(error=InternalError("no")), CheckStatus.PASSED),
        (Answer(error=DeadlineExceededError("late")), True, None, CheckStatus.FAILED),
        (Answer(error=UnavailableError("gone")), False, None, CheckStatus.FAILED),
        # the model's own codes: an answer like any other
        (Answer(error=UnavailableError("busy", reached=True)), True, None, CheckStatus.FAILED),
        (
            *(Answer(error=DeadlineExceededError("own", reached=True)), True),
            *(Answer(error=DeadlineExceededError("own", reached=True)), CheckStatus.PASSED),
        ),
    ],
)
def test_refusals(answer, may_fit, local, status):
    assert judge_refusal(answer, local=local, may_fit=may_fit).status is status


def test_refusals_over_rest():
    assert judge_http(400, '{"error": "no"}').status is CheckStatus.PASSED
    assert judge_http(404, '{"error": "no"}').status is CheckStatus.PASSED
    assert judge_http(404, "<html>").status is CheckStatus.FAILED
    assert judge_http(500, '{"error": "no"}').status is CheckStatus.FAILED
    assert judge_http(200, "{}").status is CheckStatus.FAILED


def test_wrong_requests_are_wrong_in_one_thing():
    wrong = dict(wrong_cases(X, ONES))
    assert wrong["input-name"].inputs.keys().isdisjoint({"x"})
    assert wrong["missing-input"].inputs == {}
    assert wrong["dtype"].inputs["x"].dtype == object
    assert wrong["shape"].inputs["x"].shape == (1, 1)
    fixed = SignatureInfo("s", PREDICT_METHOD, {"x": TensorSpec("x", "float32", (None, 3))}, Y)
    like = Case("s", "ones", {"x": np.ones((2, 3), np.float32)}, 2)
    assert dict(wrong_cases(fixed, like))["shape"].inputs["x"].shape == (2, 4)
