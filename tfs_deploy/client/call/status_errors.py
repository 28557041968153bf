"""Failures of a transport and statuses of a server as ``StatusError``, with a hint on what to do next."""

from __future__ import annotations

import re
from typing import Final

from tfs_deploy.errors import Code, DeadlineExceededError, StatusError, UnavailableError, status_error

#: part of a server's message -> hint
_HINTS: Final = (
    ("Unrecognized servable version label", "labels are set in the server's configuration: see tfs-deploy status"),
    ("Servable not found for request", "see which models and versions are served: tfs-deploy status"),
    ("Could not find any versions of model", "see which models are served: tfs-deploy status"),
    ("Could not find version", "see which versions are served: tfs-deploy status"),
    ("which is not currently available for inference", "load the version first, then label it in a second reload"),
    ("Timed out waiting for notification", "the server's own limit is --rest_api_timeout_in_ms"),
    ("Server Threadpool Exhausted", "send fewer calls at once, or start the server with a higher --grpc_max_threads"),
    ("Failed to write JSON value for tensor type", "the REST API does not support this dtype: use the gRPC client"),
    ("Conversion of JSON Value", "the REST API does not support this dtype: use the gRPC client"),
    ("Failed to get input map for signature", "the REST API cannot call a signature without inputs: use gRPC"),
)
#: what gRPC reports when the other side speaks HTTP/1 (old and new versions of its library)
_HTTP1: Final = re.compile(r"http1\.x|Expected SETTINGS frame|HTTP status code|Failed parsing HTTP/2", re.IGNORECASE)
#: a server that expects TLS closes a plain-text connection, and so do most that speak another protocol
_HUNG_UP: Final = re.compile(r"last error: .*(Socket closed|Connection reset)")
#: what gRPC reports when no server answered at all
_NO_CONNECTION: Final = re.compile(
    r"failed to connect|connection refused|errors? resolving|DNS resolution|Socket closed|Connection reset"
    r"|Stream removed|GOAWAY|connection attempt timed out|No such file",
    re.IGNORECASE,
)
#: what gRPC reports when the call was never sent, as there was no connection to send it on
_NOT_SENT: Final = re.compile(
    r"failed to connect|connection refused|errors? resolving|DNS resolution|connection attempt timed out|No such file",
    re.IGNORECASE,
)
#: The text with which a server of gRPC that stops turns away calls which it has not taken yet (those that it had taken
#: end as UNAVAILABLE, src/core/server/server.cc), and REFUSED_STREAM, which says the same (RFC 9113, 8.7).
_TURNED_AWAY: Final = re.compile(r"^cancelled$|RST_STREAM with error code 7\b", re.IGNORECASE)
#: HTTP/2's CANCEL: the other side has given up a call that the client has not
_RESET: Final = re.compile(r"RST_STREAM with error code 8\b")
#: http_rest_api_handler.cc FillJsonErrorMsg and its callers map canonical codes to these; the reverse mapping is lossy
_REST_CODES: Final = {
    400: Code.INVALID_ARGUMENT,
    401: Code.UNAUTHENTICATED,
    403: Code.PERMISSION_DENIED,
    404: Code.NOT_FOUND,
    409: Code.ABORTED,
    412: Code.FAILED_PRECONDITION,
    429: Code.RESOURCE_EXHAUSTED,
    499: Code.CANCELLED,
    500: Code.INTERNAL,
    501: Code.UNIMPLEMENTED,
    502: Code.UNAVAILABLE,
    503: Code.UNAVAILABLE,
    504: Code.DEADLINE_EXCEEDED,
}


def server_error(code: Code | int, message: str) -> StatusError:
    """Return the error for a status that a server answered with; the message stays the server's."""
    hint = next((hint for part, hint in _HINTS if part in message), None)
    return status_error(code, message or "the server gave no reason", hint=hint, reached=True)


def grpc_error(code: int, details: str, target: str, timeout: float, *, late: bool) -> StatusError:
    """Return the error for a failed gRPC call: the server's answer, or the reason why there was none.

    ``late``: the deadline of the attempt has passed, so a DEADLINE_EXCEEDED is the client's own.
    """
    if is_turned_away(code, details):
        return UnavailableError(f"{target} turned the call away: the server stops", reached=False)
    if code == Code.CANCELLED and _RESET.search(details):
        return unreachable_error(target, _reason(details), sent=True)
    if code == Code.UNAVAILABLE and _HTTP1.search(details):
        return http_port_error(target)
    if code == Code.UNAVAILABLE and "handshake failed" in details:
        return UnavailableError(
            f"no TLS connection to {target}: {_reason(details)}",
            hint="compare the server's certificate with the credentials (authority, host name, client certificate)",
            retriable=False,
        )
    if code == Code.UNAVAILABLE and _HUNG_UP.search(details):
        return UnavailableError(
            f"{target} closed the connection: {_reason(details)}",
            hint="is it the gRPC port (usually 8500)? does the server expect TLS (credentials=...)?",
            reached=False if _NOT_SENT.search(details) else None,
        )
    if code == Code.UNAVAILABLE and _NO_CONNECTION.search(details):
        return unreachable_error(target, _reason(details), sent=not _NOT_SENT.search(details))
    if code == Code.DEADLINE_EXCEEDED and late:
        return late_error(target, timeout)
    if code == Code.UNIMPLEMENTED and not details:
        hint = "is it the gRPC port of TensorFlow Serving?"
        return status_error(code, f"{target} has no such method", hint=hint, reached=True)
    if code == Code.RESOURCE_EXHAUSTED and "message larger than max" in details:
        return status_error(code, details, hint="send smaller batches: the other side limits the size of a message")
    return server_error(code, details)


def rest_error(http_status: int, message: str | None, url: str) -> StatusError:
    """Return the error for an HTTP status; ``message`` is the ``error`` in the server's JSON, if any."""
    code = _REST_CODES.get(http_status, Code.UNKNOWN)
    if message is None:
        hint = "is it the REST port of TensorFlow Serving?" if http_status in (404, 405, 501) else None
        return status_error(code, f"{url} answered HTTP {http_status} without a reason", hint=hint, reached=True)
    return server_error(code, message)


def is_turned_away(code: int, details: str) -> bool:
    """Return whether a failed gRPC call was turned away by a server that stops, before the server took it."""
    return code in (Code.CANCELLED, Code.UNAVAILABLE) and _TURNED_AWAY.search(details) is not None


def unreachable_error(target: str, reason: str, *, sent: bool) -> StatusError:
    """Return the error for a server that cannot be reached; ``sent``: the call may have been sent before that."""
    return UnavailableError(
        f"cannot reach {target}: {reason}",
        hint=f"is the server running at {target}? tfs-deploy up starts one",
        reached=None if sent else False,
    )


def late_error(target: str, timeout: float) -> StatusError:
    """Return the error for an answer that did not arrive in time."""
    return DeadlineExceededError(f"no answer from {target} within {timeout:.3g} s", hint="give a longer timeout")


def http_port_error(target: str) -> StatusError:
    """Return the error for a gRPC call to an HTTP port."""
    return UnavailableError(
        f"{target} speaks HTTP/1, not gRPC",
        hint="give the server's gRPC port (usually 8500), or use RestClient (--rest)",
        retriable=False,
    )


def grpc_port_error(target: str) -> StatusError:
    """Return the error for an HTTP request to a port that does not speak HTTP."""
    return UnavailableError(
        f"{target} does not speak HTTP/1; it may be a gRPC port",
        hint="give the server's REST port (usually 8501), or use Client (without --rest)",
        retriable=False,
    )


def _reason(details: str) -> str:
    """Return the last cause in one of gRPC's long explanations."""
    cause = details.rpartition("last error: ")[2]
    cause = re.sub(r"^[A-Z_]+: (ipv[46]|unix):\S+: ", "", cause)
    return re.sub(r"^errors resolving \S+: ", "", cause).strip()
