# SPDX-License-Identifier: Apache-2.0
"""The numbers of an A/B experiment: each arm with confidence intervals, and its change from stable. Pure."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.rollout.gates.request_stats import Spread, WindowSummary


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Arm:
    """One label of an experiment: error rate, mean latency in seconds, mean of the reported outcomes.

    ``error_change``, ``latency_change`` and ``outcome_change`` are the differences from the control arm, ``None`` for
    the control arm itself and without numbers. A change whose interval does not contain 0 is significant.
    """

    label: str
    requests: int
    errors: Estimate | None = None
    latency: Estimate | None = None
    outcome: Estimate | None = None
    outcomes: int = 0
    error_change: Estimate | None = None
    latency_change: Estimate | None = None
    outcome_change: Estimate | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def compare_arms(windows: Mapping[str, WindowSummary], control: str, confidence: float = 0.95) -> list[Arm]:
    """Return the arms of an experiment, ``control`` first; intervals are those of ``confidence`` (0.0 to 1.0)."""
    base = windows.get(control)
    names = [control, *sorted(label for label in windows if label != control)] if base is not None else sorted(windows)
    return [_arm(name, windows[name], None if name == control else base, confidence) for name in names]


def _arm(label: str, window: WindowSummary, base: WindowSummary | None, confidence: float) -> Arm:
    z = statistics.NormalDist().inv_cdf((1 + confidence) / 2)
    own = share(window.errors, window.requests, z)
    changes: dict[str, Estimate | None] = {}
    if base is not None:
        changes = {
            "error_change": _share_change(own, share(base.errors, base.requests, z)),
            "latency_change": mean_change(window.latency, base.latency, z),
            "outcome_change": mean_change(window.outcomes, base.outcomes, z),
        }
    reported = 0 if window.outcomes is None else window.outcomes.count
    return Arm(label, window.requests, own, mean(window.latency, z), mean(window.outcomes, z), reported, **changes)


def share(hits: int, count: int, z: float) -> Estimate | None:
    """Estimate a share with Wilson's interval, which holds for small counts and shares near 0 as well."""
    if count < 1:
        return None
    rate = hits / count
    spread = z * z / count
    center = (rate + spread / 2) / (1 + spread)
    reach = z * math.sqrt(rate * (1 - rate) / count + spread / (4 * count)) / (1 + spread)
    return Estimate(rate, min(rate, max(0.0, center - reach)), max(rate, min(1.0, center + reach)))


def _share_change(own: Estimate | None, base: Estimate | None) -> Estimate | None:
    """Estimate the difference of two shares (Newcombe's interval, from Wilson's of each)."""
    if own is None or base is None:
        return None
    change = own.value - base.value
    low = math.hypot(own.value - own.low, base.high - base.value)
    high = math.hypot(own.high - own.value, base.value - base.low)
    return Estimate(change, change - low, change + high)


def mean(sample: Spread | None, z: float) -> Estimate | None:
    """Estimate a mean; ``None`` for fewer than two values, which have no interval."""
    if sample is None or sample.count < 2:
        return None
    reach = _student(z, sample.count - 1) * sample.deviation / math.sqrt(sample.count)
    return Estimate(sample.mean, sample.mean - reach, sample.mean + reach)


def mean_change(own: Spread | None, base: Spread | None, z: float) -> Estimate | None:
    """Estimate the difference of two means with unequal variances (Welch's interval)."""
    if own is None or base is None or min(own.count, base.count) < 2:
        return None
    first, second = own.deviation**2 / own.count, base.deviation**2 / base.count
    total = first + second
    change = own.mean - base.mean
    if total == 0:
        return Estimate(change, change, change)
    freedom = total**2 / (first**2 / (own.count - 1) + second**2 / (base.count - 1))
    reach = _student(z, freedom) * math.sqrt(total)
    return Estimate(change, change - reach, change + reach)


def _student(z: float, freedom: float) -> float:
    """Return Student's quantile for that of the normal distribution (Cornish-Fisher; within 2 % from 3 degrees on)."""
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3
