# SPDX-License-Identifier: Apache-2.0
"""Failures of gRPC and HTTP as errors of the one tree."""

from __future__ import annotations

import pytest

from tfs_deploy.client.call.status_errors import grpc_error, is_missing, rest_error, server_error
from tfs_deploy.errors import Code, InvalidArgumentError, NotFoundError, UnavailableError, UnimplementedError

LAST = "failed to connect to all addresses; last error: "


@pytest.mark.parametrize(
    ("details", "message", "hint"),
    [
        (
            LAST + "UNKNOWN: ipv4:127.0.0.1:8500: Failed to connect to remote host: Connection refused",
            "cannot reach host:8500: Failed to connect to remote host: Connection refused",
            "is the server running at host:8500? tfs-deploy up starts one",
        ),
        (
            "errors resolving host:8500: [field:hostname lookup error: Domain name not found]",
            "cannot reach host:8500: [field:hostname lookup error: Domain name not found]",
            "is the server running",
        ),
        ("DNS resolution failed for host:8500: C-ares status is not ARES_SUCCESS", "cannot reach host:8500", None),
        (LAST + "UNKNOWN: unix:/tmp/x: No such file or directory", "cannot reach host:8500: No such file", None),
        (LAST + "UNAVAILABLE: ipv4:1.2.3.4:8500: Socket closed", "host:8500 closed the connection", "TLS"),
        (
            LAST + "UNKNOWN: ipv4:1.2.3.4:8500: Tls handshake failed (TSI_PROTOCOL_FAILURE): CERTIFICATE_VERIFY_FAILED",
            "no TLS connection to host:8500: Tls handshake failed",
            "certificate",
        ),
        (
            LAST + "UNAVAILABLE: ipv4:1.2.3.4:8501: Failed parsing HTTP/2 (Expected SETTINGS frame as the first frame)",
            "host:8500 speaks HTTP/1, not gRPC",
            "8500",
        ),
        (LAST + "INTERNAL: Trying to connect an http1.x server", "host:8500 speaks HTTP/1, not gRPC", "8500"),
        ("the server drains", "the server drains", None),
        ("Cancelling all calls", "Cancelling all calls", None),
        ("Received RST_STREAM with error code 7", "host:8500 turned the call away: the server stops", None),
    ],
)
def test_unavailable(details: str, message: str, hint: str | None) -> None:
    error = grpc_error(Code.UNAVAILABLE, details, "host:8500", 10, late=False)
    assert isinstance(error, UnavailableError)
    assert message in error.message
    assert hint is None or hint in (error.hint or "")


def test_a_port_without_the_service() -> None:
    error = grpc_error(Code.UNIMPLEMENTED, "", "host:8500", 10, late=False)
    assert isinstance(error, UnimplementedError)
    assert error.message == "host:8500 has no such method"


def test_a_message_that_is_too_large() -> None:
    details = "Received message larger than max (5 vs. 4)"
    error = grpc_error(Code.RESOURCE_EXHAUSTED, details, "host:8500", 10, late=False)
    assert error.hint == "send smaller batches: the other side limits the size of a message"


@pytest.mark.parametrize("code", [code for code in Code if code is not Code.OK])
def test_the_servers_message_stays(code: Code) -> None:
    error = server_error(code, "Incompatible shapes: [2] vs. [3]")
    assert (error.code, error.message, error.hint) == (code, "Incompatible shapes: [2] vs. [3]", None)
    assert server_error(code, "").message == "the server gave no reason"


def test_every_http_status_of_the_server_has_its_error() -> None:
    """model_servers/http_rest_api_handler.cc answers with these."""
    codes = {status: rest_error(status, "x", "http://host").code.name for status in (400, 401, 403, 404, 409, 429)}
    codes |= {status: rest_error(status, "x", "http://host").code.name for status in (499, 500, 501, 503, 504, 418)}
    assert codes == {
        400: "INVALID_ARGUMENT",
        401: "UNAUTHENTICATED",
        403: "PERMISSION_DENIED",
        404: "NOT_FOUND",
        409: "ABORTED",
        418: "UNKNOWN",
        429: "RESOURCE_EXHAUSTED",
        499: "CANCELLED",
        500: "INTERNAL",
        501: "UNIMPLEMENTED",
        503: "UNAVAILABLE",
        504: "DEADLINE_EXCEEDED",
    }


def test_the_servers_own_deadline_is_not_the_clients() -> None:
    own = grpc_error(Code.DEADLINE_EXCEEDED, "gave up after 100 ms", "host:8500", 10, late=False)
    assert (own.message, own.reached) == ("gave up after 100 ms", True)
    late = grpc_error(Code.DEADLINE_EXCEEDED, "Deadline Exceeded", "host:8500", 10, late=True)
    assert (late.message, late.reached) == ("no answer from host:8500 within 10 s", None)


@pytest.mark.parametrize(
    ("code", "details", "reached"),
    [
        (Code.UNAVAILABLE, LAST + "UNKNOWN: ipv4:1.2.3.4:8500: Failed to connect: Connection refused", False),
        (Code.UNAVAILABLE, LAST + "UNAVAILABLE: ipv4:1.2.3.4:8500: Socket closed", False),
        (Code.UNAVAILABLE, "errors resolving host:8500: [field:hostname lookup error: not found]", False),
        (Code.CANCELLED, "CANCELLED", False),
        (Code.CANCELLED, "Cancelled", False),
        (Code.UNAVAILABLE, "Stream removed (RST_STREAM (Received RST_STREAM with error code 7))", False),
        (Code.CANCELLED, "Stream removed (RST_STREAM (Received RST_STREAM with error code 8))", None),
        (Code.UNAVAILABLE, "Socket closed", None),
        (Code.UNAVAILABLE, "recvmsg:Connection reset by peer", None),
        (Code.UNAVAILABLE, "Cancelling all calls", True),
        (Code.CANCELLED, "the model's own reason", True),
        (Code.NOT_FOUND, "Servable not found for request: Latest(m)", True),
    ],
)
def test_whether_a_call_reached_a_server(code: Code, details: str, reached: bool | None) -> None:
    assert grpc_error(code, details, "host:8500", 10, late=False).reached is reached


def test_a_scalar_for_a_server_with_batching_gets_a_hint_about_the_batch_dimension() -> None:
    error = server_error(Code.INVALID_ARGUMENT, "Batching Run() input tensors must have at least one dimension")
    assert "every input needs a batch dimension" in (error.hint or "")


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_closed_connection_may_be_that_of_a_server_that_is_still_starting(encrypted: bool) -> None:
    # a container's port is open before the server in it listens
    details = LAST + "UNAVAILABLE: ipv4:1.2.3.4:8500: recvmsg:Connection reset by peer"
    error = grpc_error(Code.UNAVAILABLE, details, "host:8500", 10, late=False, encrypted=encrypted)
    assert (error.hint or "").endswith(", or is it still starting?")


@pytest.mark.parametrize(
    ("error", "missing"),
    [
        (InvalidArgumentError("Unrecognized servable version label: canary"), True),
        (NotFoundError("Servable not found for request: Specific(m, 2)"), True),
        (NotFoundError("Could not find any versions of model m"), True),
        (NotFoundError("Could not find version 9 of model m"), True),
        (NotFoundError("Resource localhost/t does not exist."), False),
        (NotFoundError("http://proxy answered HTTP 404"), False),
        (InvalidArgumentError("label out of range"), False),
        (UnavailableError("Servable not found for request: Specific(m, 2)"), False),
    ],
)
def test_only_the_servers_own_words_say_that_it_does_not_serve_something(error, missing):
    assert is_missing(error) is missing


def test_xla_that_a_server_lacks_has_a_remedy() -> None:
    error = server_error(Code.INVALID_ARGUMENT, "XLA compilation disabled [[{{node call}}]]")
    assert "--xla_cpu_compilation_enabled=true" in (error.hint or "")
