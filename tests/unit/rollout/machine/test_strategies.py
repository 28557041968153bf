# SPDX-License-Identifier: Apache-2.0
"""Steps that a strategy can have, and those it cannot."""

from __future__ import annotations

import math

import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.machine.strategies import (
    AB,
    BLUE_GREEN,
    CANARY,
    DEFAULT_STEPS,
    SHADOW,
    check_steps,
    parse_steps,
)


def test_the_steps_by_default():
    assert DEFAULT_STEPS == {
        "canary": (5.0, 25.0, 50.0, 100.0),
        "blue-green": (100.0,),
        "shadow": (10.0, 100.0),
        "ab": (50.0,),
    }


@pytest.mark.parametrize(
    ("steps", "strategy"),
    [
        *((steps, strategy) for strategy, steps in DEFAULT_STEPS.items()),
        ((), CANARY),
        ((0.5, 1.5, 100), CANARY),
        ((100,), CANARY),
        ((), SHADOW),
        ((1,), SHADOW),
        ((99.5,), AB),
    ],
)
def test_steps_that_fit(steps, strategy):
    assert check_steps(steps, strategy) == tuple(map(float, steps))
    assert all(isinstance(step, float) for step in check_steps(steps, strategy))


@pytest.mark.parametrize(
    ("steps", "strategy", "message"),
    [
        ((0, 100), CANARY, "outside 0 to 100"),
        ((100.5,), SHADOW, "outside 0 to 100"),
        ((math.nan,), SHADOW, "outside 0 to 100"),
        ((math.inf,), SHADOW, "outside 0 to 100"),
        ((50, 50, 100), CANARY, "do not rise"),
        ((50, 25, 100), CANARY, "do not rise"),
        ((50, 99), CANARY, "do not end with 100"),
        ((50, 100), BLUE_GREEN, "do not fit blue-green"),
        ((), BLUE_GREEN, "do not fit blue-green"),
        ((), AB, "do not fit an experiment"),
        ((10, 20), AB, "do not fit an experiment"),
        ((100,), AB, "do not fit an experiment"),
        ((100,), "other", "unknown strategy: other"),
    ],
)
def test_steps_that_do_not(steps, strategy, message):
    with pytest.raises(UsageError, match=message) as caught:
        check_steps(steps, strategy)
    assert caught.value.hint


def test_steps_as_text():
    assert parse_steps("5, 25%,100") == (5.0, 25.0, 100.0)
    assert parse_steps("40", AB) == (40.0,)
    with pytest.raises(UsageError, match="'5,x' are not numbers"):
        parse_steps("5,x")
