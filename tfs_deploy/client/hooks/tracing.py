# SPDX-License-Identifier: Apache-2.0
"""OpenTelemetry spans of a client's calls, and their context in the headers (extra ``otel``)."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

from tfs_deploy.extras import import_extra

if TYPE_CHECKING:
    from tfs_deploy.client.call.call_record import CallRecord


class TracingHook:
    """Makes a client span for each call and sends its context along (``traceparent``), with the global propagator.

    A span has a name such as ``predict digits`` and the attributes model, version, label, signature, transport,
    attempts, bytes and status. Without an SDK only the context of the caller's own span is sent.

    Args:
        provider: a ``TracerProvider``; ``None`` = the global one.

    Raises:
        MissingExtraError: opentelemetry-api is not installed.
    """

    def __init__(self, provider: Any | None = None) -> None:
        self._trace = import_extra("opentelemetry.trace", "otel")
        self._propagate = import_extra("opentelemetry.propagate", "otel")
        self._tracer = self._trace.get_tracer("tfs_deploy.client", tracer_provider=provider)
        # weak keys: a call that never ends leaves no span behind
        self._spans: weakref.WeakKeyDictionary[CallRecord, Any] = weakref.WeakKeyDictionary()

    def started(self, record: CallRecord) -> None:
        """Start a span within the caller's, and put its context into the headers."""
        span = self._tracer.start_span(f"{record.method} {record.model}".strip(), kind=self._trace.SpanKind.CLIENT)
        self._spans[record] = span
        self._propagate.inject(record.headers, context=self._trace.set_span_in_context(span))

    def finished(self, record: CallRecord) -> None:
        """End the span."""
        span = self._spans.pop(record, None)
        if span is None:
            return
        for name in ("model", "version", "label", "signature", "transport", "attempts", "bytes_sent", "bytes_received"):
            value = getattr(record, name)
            if value is not None:
                span.set_attribute(f"tfs.{name}", value)
        span.set_attribute("tfs.status", record.status)
        if record.error is not None:
            span.set_status(self._trace.StatusCode.ERROR, str(record.error))
        span.end()
