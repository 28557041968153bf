# SPDX-License-Identifier: Apache-2.0
"""Failures of a transport and statuses of a server as ``StatusError``, with a hint on what to do next."""

from __future__ import annotations

import http
import re
from typing import Final

from tfs_deploy.client.call.tls_errors import tls_error
from tfs_deploy.errors import (
    Code,
    DeadlineExceededError,
    InvalidArgumentError,
    NotFoundError,
    ResourceExhaustedError,
    StatusError,
    TfsDeployError,
    UnavailableError,
    status_error,
)

#: part of a server's message -> hint
_HINTS: Final = (
    ("Unrecognized servable version label", "labels are set in the server's configuration: see tfs-deploy status"),
    ("Servable not found for request", "see which models and versions are served: tfs-deploy status"),
    ("Could not find any versions of model", "see which models are served: tfs-deploy status"),
    ("Could not find version", "see which versions are served: tfs-deploy status"),
    ("which is not currently available for inference", "load the version first, then label it in a second reload"),
    (
        "Batching Run() input tensors must have at least one dimension",
        "with batching every input needs a batch dimension, the first: give a list of values, such as [1.0] for 1.0",
    ),
    ("Timed out waiting for notification", "the server's own limit is --rest_api_timeout_in_ms"),
    ("Server Threadpool Exhausted", "send fewer calls at once, or start the server with a higher --grpc_max_threads"),
    ("Failed to write JSON value for tensor type", "the REST API does not support this dtype: use the gRPC client"),
    ("Conversion of JSON Value", "the REST API does not support this dtype: use the gRPC client"),
    (
        "XLA compilation disabled",
        "start the server with --xla_cpu_compilation_enabled=true: see tfs-deploy lint, TFS210",
    ),
    ("Failed to get input map for signature", "the REST API cannot call a signature without inputs: use gRPC"),
)
#: what gRPC reports when the other side speaks HTTP/1 (old and new versions of its library)
_HTTP1: Final = re.compile(r"http1\.x|Expected SETTINGS frame|HTTP status code|Failed parsing HTTP/2", re.IGNORECASE)
#: a server that expects TLS closes a plain-text connection, and so do most that speak another protocol
_HUNG_UP: Final = re.compile(r"last error: .*(Socket closed|Connection reset)")
#: how it may be if a server closes an encrypted connection
CLIENT_CERTIFICATE: Final = (
    "does the server require a client certificate, or one of another authority (Tls(certificate=..., key=...))?"
)
_HUNG_UP_HINTS: Final = {
    False: "is it the gRPC port (usually 8500)? does the server expect TLS (credentials=...), or is it still starting?",
    True: f"{CLIENT_CERTIFICATE[:-1]}, or is it still starting?",
}
_HANDSHAKE: Final = re.compile(
    r"handshake failed|security handshaker|verification check failed|not in peer certificate", re.IGNORECASE
)
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
#: statuses of gateways that the server does not use, or that gRPC takes for UNAVAILABLE
_GATEWAY_CODES: Final = {
    408: Code.DEADLINE_EXCEEDED,
    413: Code.RESOURCE_EXHAUSTED,
    504: Code.DEADLINE_EXCEEDED,
}
_REST_PORT: Final = "is it the REST port of TensorFlow Serving?"
_CREDENTIALS: Final = "a proxy in front of the server may want a token (token=..., headers=...)"
_LIMIT: Final = "the time limit is that of a proxy in front of the server"
_GATEWAY_HINTS: Final = {
    401: _CREDENTIALS,
    403: _CREDENTIALS,
    404: _REST_PORT,
    405: _REST_PORT,
    408: _LIMIT,
    413: "send smaller batches: a proxy in front of the server limits the size of a request",
    501: _REST_PORT,
    504: _LIMIT,
}
#: how the server's NOT_FOUND for what it does not serve begins
_MISSING: Final = (
    *("Servable not found for request: ", "Could not find any versions of model ", "Could not find version "),
)
#: what gRPC reports of a reply over HTTP/2 that is not gRPC's, with its status or without
_NOT_GRPC_STATUS: Final = re.compile(r"Received http2 header with status: (\d+)")
_NOT_GRPC: Final = re.compile(r"Data frame with END_STREAM flag received")


def is_missing(error: TfsDeployError) -> bool:
    """Tell whether an error is the server's word that it does not serve a model, version or label.

    By the server's texts (server_core.cc, aspired_versions_manager.cc, get_model_status_impl.cc): a model's own
    NOT_FOUND or INVALID_ARGUMENT, and a proxy's, are about something else.
    """
    if isinstance(error, InvalidArgumentError):
        return "Unrecognized servable version label" in error.message
    return isinstance(error, NotFoundError) and error.message.startswith(_MISSING)


def server_error(code: Code | int, message: str) -> StatusError:
    """Return the error for a status that a server answered with; the message stays the server's."""
    hint = next((hint for part, hint in _HINTS if part in message), None)
    return status_error(code, message or "the server gave no reason", hint=hint, reached=True)


def grpc_error(
    code: int, details: str, target: str, timeout: float, *, late: bool, encrypted: bool = False
) -> StatusError:
    """Return the error for a failed gRPC call: the server's answer, or the reason why there was none.

    ``late``: the deadline of the attempt has passed, so a DEADLINE_EXCEEDED is the client's own. ``encrypted``: the
    connection is one of TLS.
    """
    if is_turned_away(code, details):
        return UnavailableError(f"{target} turned the call away: the server stops", reached=False)
    if code == Code.CANCELLED and _RESET.search(details):
        return unreachable_error(target, _reason(details), sent=True)
    if code == Code.UNAVAILABLE and _HTTP1.search(details):
        return http_port_error(target)
    if match := _NOT_GRPC_STATUS.search(details):
        return gateway_error(int(match[1]), f"{_phrase(int(match[1]))}, not in gRPC", target, code)
    if code == Code.UNKNOWN and _NOT_GRPC.search(details):
        hint = "is there a proxy or a login page in front of the server? curl --http2-prior-knowledge shows its reply"
        return status_error(code, f"{target} answered, but not in gRPC", hint=hint, reached=True)
    if code == Code.UNAVAILABLE and _HANDSHAKE.search(details):
        return tls_error(target, _reason(details))
    if code == Code.UNAVAILABLE and _HUNG_UP.search(details):
        return hung_up_error(target, _reason(details), _HUNG_UP_HINTS[encrypted], sent=not _NOT_SENT.search(details))
    if code == Code.UNAVAILABLE and _NO_CONNECTION.search(details):
        return unreachable_error(target, _reason(details), sent=not _NOT_SENT.search(details))
    if code == Code.DEADLINE_EXCEEDED and late:
        return late_error(target, timeout)
    if code == Code.UNIMPLEMENTED and not details:
        hint = "is it the gRPC port of TensorFlow Serving?"
        return status_error(code, f"{target} has no such method", hint=hint, reached=True)
    if code == Code.RESOURCE_EXHAUSTED and "message larger than max" in details:
        return _size_error(details)
    return server_error(code, details)


def _size_error(details: str) -> StatusError:
    # the text of this side's own limit (chttp2's decompression and message size filters)
    if re.search("CLIENT:|Decompressed", details):
        hint = "ask for less, or give the client max_reply=BYTES"
        return ResourceExhaustedError(details, hint=hint, retriable=False)
    hint = "send smaller batches: the other side limits the size of a message"
    return ResourceExhaustedError(details, hint=hint)


def rest_error(http_status: int, message: str | None, url: str) -> StatusError:
    """Return the error for an HTTP status; ``message`` is the ``error`` in the server's JSON, if any."""
    if message is None:
        return gateway_error(http_status, "", url)
    return server_error(_REST_CODES.get(http_status, Code.UNKNOWN), message)


def gateway_error(http_status: int, text: str, place: str, code: int | None = None) -> StatusError:
    """Return the error for a reply that is not the model server's own.

    Args:
        http_status: its status.
        text: what it says.
        place: the URL or address that was called.
        code: what gRPC makes of the status; ``None`` = what the REST API does.
    """
    if code is None or http_status in _GATEWAY_CODES:
        code = _REST_CODES.get(http_status, _GATEWAY_CODES.get(http_status, Code.UNKNOWN))
    said = f": {text}" if text else " without a reason"
    hint = _GATEWAY_HINTS.get(http_status)
    return status_error(code, f"{place} answered HTTP {http_status}{said}", hint=hint, reached=True)


def redirected_error(http_status: int, url: str, location: str) -> StatusError:
    """Return the error for a reply that names another URL."""
    return status_error(
        Code.UNKNOWN,
        f"{url} answered HTTP {http_status}: the server is at {location}",
        hint="give the client that address: requests are not sent on",
        reached=True,
    )


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


def hung_up_error(target: str, reason: str, hint: str, *, sent: bool) -> StatusError:
    """Return the error for a server that closes the connection."""
    return UnavailableError(f"{target} closed the connection: {reason}", hint=hint, reached=None if sent else False)


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


def _phrase(http_status: int) -> str:
    try:
        return http.HTTPStatus(http_status).phrase
    except ValueError:
        return "unknown status"


def _reason(details: str) -> str:
    """Return the last cause in one of gRPC's long explanations."""
    cause = details.rpartition("last error: ")[2]
    cause = re.sub(r"^[A-Z_]+: (ipv[46]|unix):\S+: ", "", cause)
    return re.sub(r"^errors resolving \S+: ", "", cause).strip()
