# SPDX-License-Identifier: Apache-2.0
"""A gate on the server's own metrics page (Prometheus text, ``monitoring_config_file``).

The page has no version and no label anywhere (servables/tensorflow/util.cc), so it is about the model as a whole since
the step began: the share of requests with another status than OK, and latencies out of the histogram.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UnavailableError, UsageError
from tfs_deploy.quantiles import QUANTILES, requests_for
from tfs_deploy.rollout.gates.gate import GateVerdict, Verdict
from tfs_deploy.rollout.gates.spec import GateKind, GateSources
from tfs_deploy.rollout.notation import parse_share
from tfs_deploy.rollout.web import fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfs_deploy.rollout.gates.gate import StepView

_COUNT: Final = ":tensorflow:serving:request_count"
_LATENCY: Final = ":tensorflow:serving:request_latency_bucket"
_LINE: Final = re.compile(r"([^\s{]+)\{(.*)\}\s+(\S+)")
_LABEL: Final = re.compile(r'(?<!\w)(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Counters:
    """A page's numbers for one model since the server's start: requests by status, latencies by bucket end in us."""

    statuses: Mapping[str, float] = field(default_factory=dict)
    buckets: Mapping[float, float] = field(default_factory=dict)

    @classmethod
    def read(cls, page: str, model: str) -> Counters:
        """Read a page."""
        statuses: dict[str, float] = {}
        buckets: dict[float, float] = {}
        for line in page.splitlines():
            match = _LINE.fullmatch(line.strip())
            if match is None or match[1] not in (_COUNT, _LATENCY):
                continue
            labels = {name: value.replace('\\"', '"').replace("\\\\", "\\") for name, value in _LABEL.findall(match[2])}
            if labels.get("model_name") != model:
                continue
            count = _counted(match[3])
            if match[1] == _COUNT:
                statuses[labels["status"]] = statuses.get(labels["status"], 0.0) + count
            else:
                end = float(labels["le"].replace("+Inf", "inf"))
                buckets[end] = buckets.get(end, 0.0) + count
        return cls(statuses, buckets)

    def since(self, before: Counters) -> Counters:
        """Return what was counted after ``before``; a server that was started again counts from 0."""
        restarted = any(value < before.statuses.get(key, 0.0) for key, value in self.statuses.items())
        if restarted or not self.statuses:
            return self
        return Counters(
            {key: value - before.statuses.get(key, 0.0) for key, value in self.statuses.items()},
            {end: value - before.buckets.get(end, 0.0) for end, value in self.buckets.items()},
        )

    @property
    def requests(self) -> float:
        """All requests."""
        return sum(self.statuses.values())

    @property
    def errors(self) -> float:
        """Requests with another status than OK."""
        return sum(count for status, count in self.statuses.items() if status != "OK")

    def quantile(self, share: float) -> float | None:
        """Return a latency in seconds, interpolated within its bucket (1.8 times wide); ``None`` without requests."""
        total = max(self.buckets.values(), default=0.0)
        if total <= 0:
            return None
        low = below = 0.0
        for end in sorted(self.buckets):
            if self.buckets[end] >= share * total:
                inside = self.buckets[end] - below
                high = end if math.isfinite(end) else low
                return (low + (high - low) * (share * total - below) / inside) / 1e6
            low, below = end, self.buckets[end]
        return low / 1e6


def _counted(text: str) -> float:
    """Read a counter; raises ``UnavailableError`` for NaN and the like, which no limit would ever catch."""
    try:
        count = float(text)
    except ValueError:
        count = math.nan
    if not 0 <= count < math.inf:
        raise UnavailableError(f"{text!r} on the metrics page is not a valid count")
    return count


class MetricsPageGate:
    """Limits the share of failed requests of the model, and its p99, both since the step began.

    The server's counters only ever grow, so the numbers of a step are a difference to the last reading before it; the
    very first reading is too few samples.
    """

    name = "metrics"

    def __init__(
        self,
        url: str,
        *,
        max_rate: float = 0.01,
        max_p99: float | None = None,
        min_samples: int = 30,
        read: Callable[[str], str] = fetch,
    ) -> None:
        self._url = url
        self._max_rate = max_rate
        self._max_p99 = max_p99
        self._min_samples = min_samples
        self._read = read
        self._before: Counters | None = None
        self._last: Counters | None = None
        self._weight = -1.0

    def judge(self, step: StepView) -> GateVerdict:
        """Read the page and judge what has been counted since the step began."""
        try:
            now = Counters.read(self._read(self._url), step.model)
        except UnavailableError as error:
            return GateVerdict(self.name, Verdict.TOO_FEW, error.message)
        if step.weight != self._weight:
            self._weight, self._before = step.weight, self._last
        self._last = now
        if self._before is None:
            self._before = now
            return GateVerdict(self.name, Verdict.TOO_FEW, "first reading of the metrics page")
        return self._verdict(now.since(self._before))

    def _verdict(self, step: Counters) -> GateVerdict:
        text = f"{step.errors:.0f} of {step.requests:.0f} requests failed"
        if step.errors > self._max_rate * max(step.requests, self._min_samples):
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {self._max_rate:.1%}")
        if step.requests < self._min_samples:
            reason = f"not enough requests on the metrics page ({step.requests:.0f} of {self._min_samples})"
            return GateVerdict(self.name, Verdict.TOO_FEW, reason, sparse=True)
        if self._max_p99 is None:
            return GateVerdict(self.name, Verdict.PASS, text)
        p99, needed = step.quantile(QUANTILES["p99"]), requests_for("p99")
        if p99 is None:
            return GateVerdict(self.name, Verdict.TOO_FEW, "no latencies on the metrics page")
        if step.requests < needed:
            reason = f"not enough requests for p99 on the metrics page ({step.requests:.0f} of {needed})"
            return GateVerdict(self.name, Verdict.TOO_FEW, reason, sparse=True)
        text = f"{text}, p99 {p99 * 1000:.1f} ms"
        if p99 > self._max_p99:
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {self._max_p99 * 1000:.1f} ms")
        return GateVerdict(self.name, Verdict.PASS, text)


def _make(options: Mapping[str, Any], sources: GateSources) -> MetricsPageGate:
    if sources.metrics_url is None:
        hint = "set monitoring: {prometheus: true} and a rest_port in the deployment file"
        raise UsageError("the server has no metrics page", hint=hint)
    return MetricsPageGate(sources.metrics_url, **options, min_samples=sources.min_samples)


METRICS: Final = GateKind(
    ("metrics",),
    (("metrics=1%", "failed requests on the server's metrics page"),),
    lambda _name, setting: {"max_rate": parse_share(setting)},
    _make,
)
