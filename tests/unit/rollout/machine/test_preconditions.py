# SPDX-License-Identifier: Apache-2.0
"""What somebody asks of a rollout in Python: refused before anything begins, with what would be right."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout import ErrorRateGate
from tfs_deploy.rollout.machine.preconditions import gates_of, option_values, steps_of, version_number


def test_times_may_be_texts():
    asked = {"bake": "5m", "check_every": "500ms", "outage": 3, "keep_old": True, "gates": ("p99=5ms",)}
    assert option_values(asked) == {**asked, "bake": 300.0, "check_every": 0.5}


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ({"keep_wram": 3}, "option of a rollout: keep_wram", "did you mean 'keep_warm'?"),
        ({"zzz": 3}, "option of a rollout: zzz", "options: strategy, "),
        ({"others": {}}, "option of a rollout: others", ""),
        ({"bake": "soon"}, "'soon' is not a valid time", "for example 10s"),
    ],
)
def test_an_option_that_is_none(options, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        option_values(options)
    assert hint in caught.value.hint


@pytest.mark.parametrize(("version", "number"), [(None, None), (3, 3), (np.int64(3), 3)])
def test_a_version_is_a_whole_number(version, number):
    assert version_number(version) == number


@pytest.mark.parametrize("version", ["4", 2.0, True, (1,)])
def test_what_is_no_version(version):
    with pytest.raises(UsageError, match="is not a valid version"):
        version_number(version)


@pytest.mark.parametrize("gate", [None, object(), ErrorRateGate, lambda step: None, {"name": "x", "judge": len}])
def test_what_is_no_gate(gate):
    with pytest.raises(UsageError, match="is not a valid gate"):
        gates_of([ErrorRateGate(), gate])


@pytest.mark.parametrize(
    ("steps", "percents"), [(None, (5, 25, 50, 100)), ("50,100", (50, 100)), ([], ()), (iter([1, 100]), (1, 100))]
)
def test_steps(steps, percents):
    assert steps_of("canary", steps) == percents


@pytest.mark.parametrize("steps", [5, ["a", 100], [None], "", [100, 50]])
def test_what_are_no_steps(steps):
    with pytest.raises(UsageError, match="steps "):
        steps_of("canary", steps)
