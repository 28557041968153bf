# SPDX-License-Identifier: Apache-2.0
"""How the answers over two transports are judged."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.errors import DeadlineExceededError, InternalError
from tfs_deploy.verify.checks import CheckStatus
from tfs_deploy.verify.groups.parity import judge_pairs
from tfs_deploy.verify.probing.cases import (
    Case,
)
from tfs_deploy.verify.probing.prober import Answer

ONES = Case("s", "ones", {"x": np.ones(1, np.float32)}, 1)


def right(rows: int = 1, version: int | None = 1) -> Answer:
    return Answer({"y": np.ones(rows, np.float32)}, version)


@pytest.mark.parametrize(
    ("ordinary", "error", "status"),
    [
        (True, DeadlineExceededError("late"), CheckStatus.FAILED),
        (False, DeadlineExceededError("late"), CheckStatus.PASSED),  # the other one made it by a hair
        (False, InternalError("no"), CheckStatus.FAILED),
    ],
)
def test_two_ways_have_to_answer_the_same_requests(ordinary, error, status):
    edge = Case("s", "largest values", ONES.inputs, 1, ordinary=ordinary)
    for pair in ((right(), Answer(error=error)), (Answer(error=error), right())):
        assert judge_pairs([(ONES, right(), right()), (edge, *pair)], "local", "grpc").status is status
