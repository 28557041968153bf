# SPDX-License-Identifier: Apache-2.0
"""Strategies: which requests the new version gets before it is promoted. Pure.

``canary``: a growing share of the requests. ``blue-green``: all requests at once, after smoke. ``shadow``: copies of a
growing share of the requests, while stable serves all of them. ``ab``: a fixed share for an experiment, after which a
person decides.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

CANARY: Final = "canary"
BLUE_GREEN: Final = "blue-green"
SHADOW: Final = "shadow"
AB: Final = "ab"

#: strategy -> percents of its steps by default
DEFAULT_STEPS: Final[dict[str, tuple[float, ...]]] = {
    CANARY: (5.0, 25.0, 50.0, 100.0),
    BLUE_GREEN: (100.0,),
    SHADOW: (10.0, 100.0),
    AB: (50.0,),
}
_HINTS: Final = {
    CANARY: "give rising percents that end with 100, for example 5,25,50,100",
    BLUE_GREEN: "blue-green switches everything at once: leave the steps out",
    SHADOW: "give rising percents of the requests that are copied, for example 10,100",
    AB: "give the one percentage that the new version gets during the experiment, for example 50",
}


def check_steps(steps: Iterable[float], strategy: str = CANARY) -> tuple[float, ...]:
    """Return the steps of a strategy as percents; raises ``UsageError`` for steps that it cannot have."""
    if strategy not in DEFAULT_STEPS:
        raise UsageError(f"unknown strategy: {strategy}", hint=f"strategies: {', '.join(DEFAULT_STEPS)}")
    percents = tuple(float(step) for step in steps)
    text, hint = ",".join(f"{step:g}" for step in percents), _HINTS[strategy]
    if any(not math.isfinite(step) or step <= 0 or step > 100 for step in percents):
        raise UsageError(f"steps {text} contain a value outside 0 to 100", hint=hint)
    if any(first >= second for first, second in itertools.pairwise(percents)):
        raise UsageError(f"steps {text} do not rise", hint=hint)
    if strategy == CANARY and percents and percents[-1] != 100:
        raise UsageError(f"steps {text} do not end with 100", hint=hint)
    if strategy == BLUE_GREEN and percents != (100.0,):
        raise UsageError(f"steps {text} do not fit blue-green", hint=hint)
    if strategy == AB and (len(percents) != 1 or percents[0] >= 100):
        raise UsageError(f"steps {text} do not fit an experiment", hint=hint)
    return percents


def parse_steps(text: str, strategy: str = CANARY) -> tuple[float, ...]:
    """Read ``5,25,50,100``; raises ``UsageError``."""
    try:
        values = [float(part.strip().removesuffix("%")) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"steps {text!r} are not numbers", hint="for example --steps 5,25,50,100") from None
    return check_steps(values, strategy)
