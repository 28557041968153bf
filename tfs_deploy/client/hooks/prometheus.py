# SPDX-License-Identifier: Apache-2.0
"""Prometheus metrics of a client's calls (extra ``prometheus``): ``Client(..., hooks=[PrometheusHook()])``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.extras import import_extra

if TYPE_CHECKING:
    from tfs_deploy.client.call.call_record import CallRecord

_LABELS: Final = ("model", "version_label", "method", "transport")
#: seconds; models answer within a millisecond to a few seconds
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class PrometheusHook:
    """Counts calls, attempts, bytes and latencies; one hook may serve any number of clients.

    Metrics: ``tfs_client_calls_total`` (with ``status``), ``tfs_client_attempts_total``,
    ``tfs_client_latency_seconds``, ``tfs_client_sent_bytes_total``, ``tfs_client_received_bytes_total``; labels
    ``model``, ``version_label`` (empty without one), ``method``, ``transport``. The version is not a label, because the
    number of versions grows without limit.

    Args:
        registry: the registry of the metrics; ``None`` = the default registry.

    Raises:
        MissingExtraError: prometheus-client is not installed.
    """

    def __init__(self, registry: Any | None = None) -> None:
        library = import_extra("prometheus_client", "prometheus")
        arguments = {} if registry is None else {"registry": registry}
        self._calls = library.Counter("tfs_client_calls", "Calls by result", (*_LABELS, "status"), **arguments)
        self._attempts = library.Counter("tfs_client_attempts", "Requests sent, with retries", _LABELS, **arguments)
        self._latency = library.Histogram(
            "tfs_client_latency_seconds", "From the call to its result", _LABELS, buckets=_BUCKETS, **arguments
        )
        self._sent = library.Counter("tfs_client_sent_bytes", "Sizes of requests", _LABELS, **arguments)
        self._received = library.Counter("tfs_client_received_bytes", "Sizes of replies", _LABELS, **arguments)

    def started(self, record: CallRecord) -> None:
        """Do nothing: everything is counted when the call ends."""

    def finished(self, record: CallRecord) -> None:
        """Count a call."""
        values = (record.model, record.label or "", record.method, record.transport)
        self._calls.labels(*values, record.status).inc()
        self._attempts.labels(*values).inc(record.attempts)
        self._latency.labels(*values).observe(record.seconds)
        self._sent.labels(*values).inc(record.bytes_sent)
        self._received.labels(*values).inc(record.bytes_received)
