# SPDX-License-Identifier: Apache-2.0
"""What consumers recorded of their requests, as windows that gates judge (the files: ``state.request_tallies``)."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.host.machine import boot_id
from tfs_deploy.quantiles import QUANTILES
from tfs_deploy.rollout.gates.request_stats import OutputComparison, Spread, WindowSummary
from tfs_deploy.state.request_tallies import TallyReader, class_end, requests_dir

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

#: seconds since a file's last sign of life within which its writer counts as there, and as one that may come back
_FRESH: Final = 30.0
_KNOWN: Final = 7 * 86400.0
#: seconds after which a consumer has written what it counted (client.routing.recorder)
_LAG: Final = 0.6


class RecordedRequests:
    """Windows of what all consumers of a model recorded; a line counts if its middle is in the window.

    Lines of the past half second may still come.
    """

    def __init__(
        self,
        state_dir: Path,
        model: str,
        *,
        now: Callable[[], float] = time.time,
        mono: Callable[[], float] | None = None,
    ) -> None:
        self._tallies = TallyReader(requests_dir(state_dir, model))
        self._now = now
        self._mono = mono or time.monotonic
        self._boot = boot_id()

    def has_consumers(self) -> bool:
        """Tell whether a consumer is at work that would record a rollout."""
        return self._now() - self._tallies.last_written() < _FRESH

    def knows_consumers(self) -> bool:
        """Tell whether a consumer was at work within the past week."""
        return self._now() - self._tallies.last_written() < _KNOWN

    def last_seen(self) -> float | None:
        """Return when a consumer wrote last, in seconds since the epoch; None if none ever did."""
        at = self._tallies.last_written()
        return at if math.isfinite(at) else None

    @property
    def lag(self) -> float:
        """Seconds to wait for what consumers have not written yet."""
        return _LAG if self.has_consumers() else 0.0

    def window(self, start: float, end: float) -> Mapping[str, WindowSummary]:
        """Summarise by label the requests of ``[start, end)``, in monotonic seconds."""
        found: dict[str, list[dict[str, Any]]] = {}
        for line in self._tallies.lines():
            if start <= self._middle(line) < end:
                for label, tally in line["labels"].items():
                    found.setdefault(label, []).append(tally)
        return {label: summarise(tallies) for label, tallies in found.items()}

    def _middle(self, line: Mapping[str, Any]) -> float:
        """Return the middle of a line in this process's monotonic time; by wall clock if it is of another machine."""
        start, end = line["mono"]
        if self._boot and line["boot"] == self._boot:
            return float(start + end) / 2
        return float(line["at"] - (end - start) / 2 - self._now() + self._mono())


def summarise(tallies: Iterable[Mapping[str, Any]]) -> WindowSummary:
    """Add up the tallies of one label."""
    requests = errors = broken = 0
    total = squares = 0.0
    classes: dict[int, int] = {}
    outcomes = [0, 0.0, 0.0]
    compared: dict[str, list[float]] = {}
    for tally in tallies:
        requests += tally["requests"]
        errors += tally["errors"]
        broken += tally.get("broken", 0)
        total += tally["total"]
        squares += tally["squares"]
        for number, count in tally["classes"].items():
            classes[int(number)] = classes.get(int(number), 0) + count
        outcomes = [have + more for have, more in zip(outcomes, tally["outcomes"], strict=True)]
        for output, sums in tally["compared"].items():
            before = compared.setdefault(output, [0, 0.0, 0.0, 0])
            compared[output] = [have + more for have, more in zip(before, sums, strict=True)]
    quantiles: dict[str, Any] = {name: _quantile(classes, share) for name, share in QUANTILES.items()}
    return WindowSummary(
        requests,
        errors,
        **quantiles,
        broken=broken,
        latency=Spread.of_sums(requests - errors, total, squares),
        outcomes=Spread.of_sums(int(outcomes[0]), outcomes[1], outcomes[2]),
        compared={
            output: OutputComparison(int(count), distance / count, agreement / count, int(broken))
            for output, (count, distance, agreement, broken) in compared.items()
        },
    )


def _quantile(classes: Mapping[int, int], share: float) -> float | None:
    """Return a quantile of a histogram: within its class, which is 9 % wide, by the rank."""
    count = sum(classes.values())
    if not count:
        return None
    rank, below = share * count, 0
    for number in sorted(classes):
        if below + classes[number] >= rank:
            low, high = class_end(number - 1) if number else 0.0, class_end(number)
            return low + (high - low) * (rank - below) / classes[number]
        below += classes[number]
    return class_end(max(classes))
