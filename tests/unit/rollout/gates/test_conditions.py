# SPDX-License-Identifier: Apache-2.0
"""Conditions on numbers in JSON documents."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import UnavailableError, UsageError
from tfs_deploy.rollout.gates.conditions import Condition, number_at


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("$.ctr >= 0.1", Condition("$.ctr", ">=", 0.1)),
        ("a < b<-1e3", Condition("a < b", "<", -1000.0)),
        ('up{job=~"x"} == 1', Condition('up{job=~"x"}', "==", 1.0)),
    ],
)
def test_conditions(text, condition):
    assert Condition.parse(text) == condition


@pytest.mark.parametrize("text", ["", "$.ctr", "$.ctr >=", ">= 1", "$.ctr >= x", "$.ctr > nan", "$.ctr > 1e999"])
def test_what_is_no_condition(text):
    with pytest.raises(UsageError, match="does not end with a comparison"):
        Condition.parse(text)


@pytest.mark.parametrize("path", ["$.a.b[1]", "a.b", '$["a"].b[1]', "$['a']['b'][1]"])
def test_paths(path):
    document = {"a": {"b": [1, 2]}}
    if path == "a.b":
        with pytest.raises(UsageError, match="is not a valid JSON path"):
            number_at(document, path)
    else:
        assert number_at(document, path) == 2


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan"), None, True, "much", [1], {}])
def test_what_is_no_number_never_passes(value):
    with pytest.raises(UnavailableError, match="is not a number"):
        number_at({"kpi": value}, "$.kpi")
