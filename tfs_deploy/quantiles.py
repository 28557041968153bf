# SPDX-License-Identifier: Apache-2.0
"""Latency quantiles, and how many requests each of them needs."""

from __future__ import annotations

from typing import Final

#: name of a quantile -> share of the requests that are as fast or faster
QUANTILES: Final = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
#: slower requests that there have to be for a quantile to say something
_BEYOND: Final = 5


def requests_for(quantile: str) -> int:
    """Return how many answered requests a quantile needs: p50 10, p90 50, p95 100, p99 500."""
    return round(_BEYOND / (1.0 - QUANTILES[quantile]))
