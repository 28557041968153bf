# SPDX-License-Identifier: Apache-2.0
"""How the answer to an empty batch is judged."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.errors import DeadlineExceededError, InternalError, InvalidArgumentError
from tfs_deploy.verify.checks import CheckStatus
from tfs_deploy.verify.groups.smoke_empty_batch import judge_empty
from tfs_deploy.verify.probing.cases import (
    Case,
)
from tfs_deploy.verify.probing.prober import Answer

ONES = Case("s", "ones", {"x": np.ones(1, np.float32)}, 1)


def right(rows: int = 1, version: int | None = 1) -> Answer:
    return Answer({"y": np.ones(rows, np.float32)}, version)


@pytest.mark.parametrize(
    ("answer", "batching", "status"),
    [
        (right(0), False, CheckStatus.PASSED),
        (right(1), False, CheckStatus.FAILED),
        (Answer(error=InvalidArgumentError("no")), False, CheckStatus.PASSED),
        (Answer(error=InternalError("no")), False, CheckStatus.FAILED),
        (Answer(error=DeadlineExceededError("late")), False, CheckStatus.FAILED),
        (Answer(error=DeadlineExceededError("late")), True, CheckStatus.SKIPPED),
        (Answer(error=DeadlineExceededError("late")), None, CheckStatus.SKIPPED),
    ],
)
def test_empty_batches(answer, batching, status):
    assert judge_empty(answer, None, ONES, right(), batching=batching).status is status
