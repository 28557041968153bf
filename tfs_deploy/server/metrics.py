# SPDX-License-Identifier: Apache-2.0
"""Counters and histograms under the server's own names, as Prometheus text (util/prometheus_exporter.cc)."""

from __future__ import annotations

import bisect
import math
import threading
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfs_deploy.errors import Code


def exponential_buckets(scale: float, growth: float, count: int) -> tuple[float, ...]:
    """Return the upper bounds ``scale * growth^n`` (tensorflow/core/lib/monitoring/sampler.h)."""
    return tuple(scale * growth**power for power in range(count))


#: latencies in microseconds
LATENCY_BUCKETS: Final = exponential_buckets(10, 1.8, 33)
EXAMPLE_BUCKETS: Final = exponential_buckets(1, 2, 15)
BATCH_BUCKETS: Final = exponential_buckets(1, 2, 14)
QUEUE_BUCKETS: Final = exponential_buckets(100, 1.2, 52)

#: what refused requests are counted under whose model name is too long, or one of too many
OTHER_MODELS: Final = "(other)"
_MOST_NAMES: Final = 1000
_LONGEST_NAME: Final = 256


class Counter:
    """A count for each combination of label values."""

    kind = "counter"

    def __init__(self, name: str, *labels: str) -> None:
        self.name = name
        self._labels = labels
        self._lock = threading.Lock()
        self._values: dict[tuple[str, ...], int] = {}

    def add(self, *values: str, by: int = 1) -> None:
        """Count ``by`` more for these label values."""
        with self._lock:
            self._values[values] = self._values.get(values, 0) + by

    def __contains__(self, values: tuple[str, ...]) -> bool:
        return values in self._values

    @property
    def total(self) -> int:
        """The sum over all label values."""
        with self._lock:
            return sum(self._values.values())

    def lines(self) -> Iterator[str]:
        """Yield the samples as text."""
        with self._lock:
            values = sorted(self._values.items())
        for labels, value in values:
            yield f"{self.name}{_braces(self._labels, labels)} {value}"


class Histogram:
    """A distribution for each combination of label values."""

    kind = "histogram"

    def __init__(self, name: str, buckets: Sequence[float], *labels: str) -> None:
        self.name = name
        self._bounds = tuple(buckets)
        self._labels = labels
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, ...], list[float]] = {}

    def add(self, value: float, *values: str) -> None:
        """Add a value for these label values."""
        position = bisect.bisect_right(self._bounds, value)
        with self._lock:
            counts = self._counts.get(values)
            if counts is None:
                # one for each bucket and one beyond, then the sum
                counts = self._counts[values] = [0] * (len(self._bounds) + 2)
            counts[position] += 1
            counts[-1] += value

    @property
    def total(self) -> int:
        """The number of values over all label values."""
        with self._lock:
            return int(sum(sum(counts[:-1]) for counts in self._counts.values()))

    def lines(self) -> Iterator[str]:
        """Yield the samples as text."""
        with self._lock:
            cells = sorted((labels, list(counts)) for labels, counts in self._counts.items())
        for labels, counts in cells:
            below = 0
            for bound, count in zip((*self._bounds, math.inf), counts, strict=False):
                below += int(count)
                text = "+Inf" if math.isinf(bound) else f"{bound:g}"
                yield f"{self.name}_bucket{_braces((*self._labels, 'le'), (*labels, text))} {below}"
            yield f"{self.name}_sum{_braces(self._labels, labels)} {counts[-1]:g}"
            yield f"{self.name}_count{_braces(self._labels, labels)} {below}"


def _braces(names: Sequence[str], values: Sequence[str]) -> str:
    inner = ",".join(f'{name}="{_escape(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{inner}}}"


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


class ServerMetrics:
    """All metrics of one server."""

    def __init__(self) -> None:
        latency, waiting, serving = LATENCY_BUCKETS, QUEUE_BUCKETS, ":tensorflow:serving:"
        model, api = "model_name", "API"
        self.load_attempts = Counter(":tensorflow:cc:saved_model:load_attempt_count", "model_path", "status")
        self.load_latency = Counter(":tensorflow:cc:saved_model:load_latency", "model_path")
        self.session_runs = Counter(":tensorflow:core:direct_session_runs")
        self.graph_runs = Counter(":tensorflow:core:graph_runs")
        self.graph_run_time = Counter(":tensorflow:core:graph_run_time_usecs")
        self.queuing_latency = Histogram(f"{serving}batching_session:queuing_latency", waiting, "thread_pool_name")
        self.wrapped_runs = Counter(f"{serving}batching_session:wrapped_run_count")
        self.input_batch_size = Histogram(f"{serving}batching_session:input_batch_size", BATCH_BUCKETS)
        self.processed_batch_size = Histogram(f"{serving}batching_session:processed_batch_size", BATCH_BUCKETS)
        self.padding_size = Histogram(f"{serving}batching_session:padding_size", BATCH_BUCKETS, "execution_batch_size")
        self.warmup_latency = Histogram(f"{serving}model_warmup_latency", latency, "model_path", "status")
        self.warmup_records = Counter(f"{serving}model_warmup_records_read", "model_path")
        self.requests = Counter(f"{serving}request_count", model, "status")
        self.examples = Counter(f"{serving}request_example_count_total", "model")
        self.example_counts = Histogram(f"{serving}request_example_counts", EXAMPLE_BUCKETS, "model")
        self.request_latency = Histogram(f"{serving}request_latency", latency, model, api, "entrypoint")
        self.runtime_latency = Histogram(f"{serving}runtime_latency", latency, model, api, "runtime")
        self._refused: set[str] = set()

    def _all(self) -> list[Counter | Histogram]:
        return sorted(
            (metric for metric in vars(self).values() if isinstance(metric, (Counter, Histogram))),
            key=lambda metric: metric.name,
        )

    def observe_run(self, model: str, api: str, microseconds: float) -> None:
        """Record a run of a model's graph."""
        self.runtime_latency.add(microseconds, model, api, "TF1")

    def graph_ran(self, microseconds: float) -> None:
        """Record one run of any graph, for warmup and batches too."""
        self.session_runs.add()
        self.graph_runs.add()
        self.graph_run_time.add(by=int(microseconds))

    def observe_examples(self, model: str, count: int) -> None:
        """Record the number of tf.Examples in a request."""
        self.examples.add(model, by=count)
        self.example_counts.add(count, model)

    def succeeded(self, model: str, api: str, entrypoint: str, microseconds: float) -> None:
        """Record an answered request."""
        self.requests.add(model, "OK")
        self.request_latency.add(microseconds, model, api, entrypoint)

    def failed(self, model: str, code: Code) -> None:
        """Record a refused request; its model name is the client's, so only so many names become label values."""
        if model not in self._refused and (model, "OK") not in self.requests:
            if len(self._refused) >= _MOST_NAMES or len(model) > _LONGEST_NAME:
                model = OTHER_MODELS
            else:
                self._refused.add(model)
        self.requests.add(model, code.name)

    def value(self, path: str) -> int:
        """Return a metric's sum over all labels; ``path`` is its slashed name, 0 for an unknown one."""
        name = path.replace("/", ":")
        return next((metric.total for metric in self._all() if metric.name == name), 0)

    def page(self) -> bytes:
        """Return the page that Prometheus reads."""
        lines: list[str] = []
        for metric in self._all():
            lines.append(f"# TYPE {metric.name} {metric.kind}")
            lines.extend(metric.lines())
        # a name in a request's path need not be UTF-8, but the page must be
        return ("\n".join(lines) + "\n").encode("utf-8", "replace")
