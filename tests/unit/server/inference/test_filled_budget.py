# SPDX-License-Identifier: Apache-2.0
"""Requests in flight share one budget for values that they did not send."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import ResourceExhaustedError
from tfs_deploy.server.inference.filled_budget import FilledBudget


def test_requests_share_the_budget_and_give_it_back() -> None:
    budget = FilledBudget(100)
    with budget.hold(60), budget.hold(40), pytest.raises(ResourceExhaustedError, match="the limit is 100 B"):
        budget.hold(1).__enter__()
    with budget.hold(100):
        pass


def test_a_request_that_fails_gives_its_part_back() -> None:
    budget = FilledBudget(100)
    with pytest.raises(KeyError), budget.hold(100):
        raise KeyError
    with budget.hold(100):
        pass
