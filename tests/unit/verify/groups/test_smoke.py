# SPDX-License-Identifier: Apache-2.0
"""How answers and signatures are judged."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy import protos
from tfs_deploy.errors import DeadlineExceededError, InternalError, InvalidArgumentError
from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.savedmodel.goldens import Golden
from tfs_deploy.verify.checks import CheckStatus
from tfs_deploy.verify.groups.smoke import judge_answer, judge_signature
from tfs_deploy.verify.groups.smoke_inference import are_examples, as_examples
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
    ("answer", "local", "golden", "status"),
    [
        (right(), None, False, CheckStatus.PASSED),
        (right(version=2), None, False, CheckStatus.FAILED),
        (Answer({"y": np.ones(1, np.int64)}), None, False, CheckStatus.FAILED),
        (Answer({}), None, False, CheckStatus.FAILED),
        (Answer(error=InvalidArgumentError("no")), None, False, CheckStatus.SKIPPED),
        (
            Answer(error=InvalidArgumentError("no")),
            Answer(error=InvalidArgumentError("no")),
            False,
            CheckStatus.SKIPPED,
        ),
        (Answer(error=InvalidArgumentError("no")), right(), False, CheckStatus.FAILED),
        (Answer(error=InvalidArgumentError("no")), None, True, CheckStatus.FAILED),
        (Answer(error=InternalError("no")), None, False, CheckStatus.FAILED),
        (Answer(error=DeadlineExceededError("late")), None, False, CheckStatus.FAILED),
        (right(), None, True, CheckStatus.PASSED),
        (Answer({"y": np.zeros(1, np.float32)}), None, True, CheckStatus.FAILED),
    ],
)
def test_answers(answer, local, golden, status):
    recorded = Golden("s", ONES.inputs, {"y": np.ones(1, np.float32)}) if golden else None
    case = Case("s", "ones", ONES.inputs, 1, golden=recorded)
    assert judge_answer(X, case, answer, local, 1).status is status


def test_an_edge_value_that_takes_too_long_proves_nothing():
    late = Answer(error=DeadlineExceededError("late"))
    case = Case("s", "largest values", ONES.inputs, 1, ordinary=False)
    assert judge_answer(X, case, late, None, 1).status is CheckStatus.SKIPPED


def test_a_signature_that_takes_nothing_is_broken_unless_its_inputs_were_guessed():
    no = Answer(error=InvalidArgumentError("no"))
    text = SignatureInfo("s", PREDICT_METHOD, {"t": TensorSpec("t", "string", (None,))})
    assert judge_signature(X, [no, no]).status is CheckStatus.FAILED
    assert judge_signature(text, [no, no]).status is CheckStatus.SKIPPED
    assert judge_signature(text, [no, Answer(error=InternalError("no"))]).status is CheckStatus.FAILED
    assert judge_signature(X, [no, right()]).status is CheckStatus.PASSED


def test_text_reaches_classify_only_inside_a_tf_example():
    """A receiver of raw text gets what Classify sends: Predict is asked the same, or there is nothing to compare."""
    text = np.array([[b"some text"], [b"\xff"]], object)
    case = Case("s", "2 rows", {"inputs": text}, 2)
    assert not are_examples(case)
    sent = as_examples(case)
    assert are_examples(sent)
    assert sent.inputs["inputs"].shape == (2, 1)
    example = protos.Example.FromString(sent.inputs["inputs"][1, 0])
    assert list(example.features.feature["inputs"].bytes_list.value) == [b"\xff"]
    assert are_examples(Case("s", "empty", {"inputs": np.array([b""], object)}, 1))
