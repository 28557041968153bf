# SPDX-License-Identifier: Apache-2.0
"""How finite numbers, class labels and rows of a batch are judged."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.savedmodel.goldens import Golden
from tfs_deploy.verify.checks import CheckStatus
from tfs_deploy.verify.groups.behaviour import (
    Labels,
    are_ranked,
    judge_finite,
    judge_labels,
    judge_row,
    label_rows,
    rowwise,
)
from tfs_deploy.verify.probing.cases import (
    Case,
)
from tfs_deploy.verify.probing.prober import Answer

ONES = Case("s", "ones", {"x": np.ones(1, np.float32)}, 1)


def right(rows: int = 1, version: int | None = 1) -> Answer:
    return Answer({"y": np.ones(rows, np.float32)}, version)


def test_numbers_that_are_not_finite():
    bad = Answer({"y": np.array([np.nan, 1], np.float32)})
    recorded = Case("s", "recorded #1", ONES.inputs, golden=Golden("s", {}, {}))
    assert judge_finite([(ONES, right())]).status is CheckStatus.PASSED
    assert judge_finite([(ONES, bad)]).status is CheckStatus.FAILED
    assert judge_finite([(ONES, right()), (recorded, bad)]).status is CheckStatus.FAILED
    assert "50 %" in judge_finite([(recorded, bad)]).reason
    assert judge_finite([(recorded, bad)]).reason.endswith("; sent x [1]")


def zeros(dtype: str) -> Case:
    return Case("s", "zeros", {"x": np.zeros(1, dtype)}, 1)


ROWS = Case("s", "3 rows", {"x": np.arange(3, dtype=np.float32)}, 3)
WARMUP = Case("s", "warmup #1", ONES.inputs, 1)


@pytest.mark.parametrize(
    ("bad", "good", "status"),
    [
        ([zeros("float32")], [ONES, ROWS], CheckStatus.FAILED),  # 0 / 0
        ([zeros("int32")], [ONES, ROWS], CheckStatus.PASSED),  # a mean of nothing but padding
        ([ONES, zeros("float32")], [ROWS], CheckStatus.PASSED),  # a deviation of one number
        ([ONES], [ROWS, zeros("float32")], CheckStatus.PASSED),
        ([ROWS], [ONES, zeros("float32")], CheckStatus.FAILED),
        ([WARMUP], [ONES, ROWS], CheckStatus.FAILED),
        ([ROWS, ONES, zeros("int32")], [], CheckStatus.FAILED),
    ],
)
def test_which_made_up_requests_may_be_answered_without_a_number(bad, good, status):
    nan = Answer({"y": np.array([np.nan], np.float32)})
    judgement = judge_finite([*((case, right()) for case in good), *((case, nan) for case in bad)])
    assert judgement.status is status
    assert bad[0].name in judgement.reason


AB, BA = Labels((b"a", b"b")), Labels((b"b", b"a"))
RANKED_AB, RANKED_BA = Labels(AB.names, ranked=True), Labels(BA.names, ranked=True)


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([AB, AB], CheckStatus.PASSED),
        ([AB, BA], CheckStatus.FAILED),
        ([RANKED_AB, RANKED_AB], CheckStatus.PASSED),
        ([RANKED_AB, RANKED_BA], CheckStatus.PASSED),
        ([RANKED_AB, BA], CheckStatus.FAILED),
        ([Labels((b"a", b"a"))], CheckStatus.FAILED),
        ([RANKED_AB, Labels((b"c", b"c"), ranked=True)], CheckStatus.FAILED),
    ],
)
def test_labels_have_one_order_or_are_ranked_and_one_meaning(rows, status):
    assert judge_labels(rows).status is status


def test_labels_are_ranked_if_their_scores_go_down():
    classes = np.array([[b"a", b"b"], [b"b", b"a"], [b"a", b"b"]], object)
    scores = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8]], np.float32)
    assert [row.ranked for row in label_rows([Answer({"classes": classes, "scores": scores})])] == [True, True, False]
    assert label_rows([Answer({"classes": classes})]) == []
    assert not are_ranked([RANKED_AB, RANKED_AB])  # always the same: each label has its place


@pytest.mark.parametrize(
    ("row", "alone", "same"),
    [
        ([[1, 2, 0, 0]], [[1, 2]], True),
        ([[b"a", b"", b""]], [[b"a"]], True),
        ([[[1, 0], [0, 0]]], [[[1]]], True),
        ([[1, 2, 0, 7]], [[1, 2]], False),  # more than padding
        ([[1, 2]], [[1, 2, 0]], False),
        ([[1, 3, 0]], [[1, 2]], False),
        ([[1, 2]], [1, 2], False),
    ],
)
def test_a_row_may_be_filled_up_to_the_longest_of_its_batch(row, alone, same):
    dtype = object if isinstance(np.ravel(row)[0], bytes) else np.int64
    batch = Answer({"y": np.array([*row, *row], dtype)})
    case = Case("s", "2 rows", {"x": np.zeros((2, 1))}, 2)
    judgement = judge_row(0, batch, Answer({"y": np.array(alone, dtype)}), case)
    assert (judgement is None) is same


@pytest.mark.parametrize("same", [True, False])
def test_scores_of_each_row_for_each_other_are_compared_by_pairs(same):
    """Users [3, d] and items [3, d] give scores [3, 3]; alone, a user and its item give [1, 1]."""
    scores = np.array([[1, 2, 3], [5, 7, 7], [8, 9, 6]], np.float32)
    case = Case("s", "3 rows", {"users": np.zeros((3, 2)), "items": np.zeros((3, 2))}, 3)
    for row in range(3):
        alone = Answer({"scores": scores[row : row + 1, row : row + 1] + (0 if same else 1)})
        judgement = judge_row(row, Answer({"scores": scores}), alone, case)
        assert (judgement is None) is same


def test_rows_of_nothing_but_padding_need_no_number():
    rows = Case("s", "3 rows", {"tokens": np.array([[0, 0], [1, 1], [0, 0]], np.int32)}, 3)
    content = Answer({"y": np.array([np.nan, 1, np.nan], np.float32)})
    assert judge_finite([(ONES, right()), (rows, content)]).status is CheckStatus.PASSED
    wrong = Answer({"y": np.array([1, np.nan, 1], np.float32)})
    assert judge_finite([(ONES, right()), (rows, wrong)]).status is CheckStatus.FAILED
    floats = Case("s", "3 rows", {"x": np.array([[0, 0], [1, 1], [0, 0]], np.float32)}, 3)
    assert judge_finite([(ONES, right()), (floats, content)]).status is CheckStatus.FAILED


def test_what_is_said_of_the_whole_batch_is_not_taken_for_its_rows():
    case = Case("s", "3 rows", {"x": np.zeros((3, 1))}, 3)
    names = np.array([b"iris", b"rose", b"lily"], object)
    batch = Answer({"y": np.array([1, 2, 3]), "names": names, "total": np.array(6)})
    alone = Answer({"y": np.array([2]), "names": names, "total": np.array(2)})
    assert rowwise(batch, alone, 3) == {"y"}
    assert judge_row(1, batch, alone, case) is None
    assert judge_row(0, batch, alone, case) is not None
    lost = judge_row(0, batch, Answer({"names": names}), case)
    assert lost is not None
    assert "'y': it is missing" in lost.reason
