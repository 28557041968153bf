# SPDX-License-Identifier: Apache-2.0
"""The replies of gateways: nginx, Envoy, API gateways and login pages in front of the server."""

from __future__ import annotations

import json

import pytest

from support.clients import CLIENTS
from support.http2 import Http2Server, response
from tfs_deploy.client.rest.error_replies import reply_error
from tfs_deploy.errors import (
    Code,
    DeadlineExceededError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
    UnknownError,
)

URL = "http://host:8501/v1/models/m:predict"
NGINX = """<html>
<head><title>{0}</title></head>
<body><center><h1>{0}</h1></center>{1}<hr><center>nginx/1.25</center></body>
</html>"""


@pytest.mark.parametrize(
    ("status", "body", "code", "message", "hint"),
    [
        (
            413,
            NGINX.format("413 Request Entity Too Large", ""),
            Code.RESOURCE_EXHAUSTED,
            "answered HTTP 413: 413 Request Entity Too Large nginx/1.25",
            "send smaller batches",
        ),
        (
            400,
            NGINX.format("400 Bad Request", "<center>The plain HTTP request was sent to HTTPS&nbsp;port</center>"),
            Code.INVALID_ARGUMENT,
            "400 Bad Request The plain HTTP request was sent to HTTPS port",
            None,
        ),
        (503, "no healthy upstream", Code.UNAVAILABLE, "answered HTTP 503: no healthy upstream", None),
        (504, "upstream request timeout", Code.DEADLINE_EXCEEDED, ": upstream request timeout", "of a proxy in front"),
        (408, "stream timeout", Code.DEADLINE_EXCEEDED, ": stream timeout", "of a proxy in front"),
        (403, "RBAC: access denied", Code.PERMISSION_DENIED, ": RBAC: access denied", "token"),
        (401, "Jwt is missing", Code.UNAUTHENTICATED, ": Jwt is missing", "token"),
        (429, "local_rate_limited", Code.RESOURCE_EXHAUSTED, ": local_rate_limited", None),
        (503, '{"message": "failure to get a peer"}', Code.UNAVAILABLE, ": failure to get a peer", None),
        (403, '{"error": {"code": 403, "message": "not enabled"}}', Code.PERMISSION_DENIED, ": not enabled", None),
        (403, '{"detail": "no such tenant"}', Code.PERMISSION_DENIED, ": no such tenant", None),
        (500, "<html><head><title>Oops</title></head><body></body></html>", Code.INTERNAL, ": Oops", None),
        (500, "<script>if (a < b) x()</script><!-- c --><p>It broke</p>", Code.INTERNAL, "500: It broke", None),
        (500, "x" * 1000, Code.INTERNAL, "x...", None),
        (500, "[1]", Code.INTERNAL, "500: [1]", None),
        (500, "", Code.INTERNAL, "answered HTTP 500 without a reason", None),
        (404, "", Code.NOT_FOUND, "answered HTTP 404 without a reason", "is it the REST port"),
        (418, "short and stout", Code.UNKNOWN, ": short and stout", None),
    ],
)
def test_the_reason_of_a_gateway_is_kept(status, body, code, message, hint):
    error = reply_error(status, {}, body.encode(), URL)
    assert error.code == code
    assert message in error.message
    assert len(error.message) < 500
    assert error.reached
    assert (hint or "") in (error.hint or "")


def test_the_servers_own_reason_has_no_frame():
    error = reply_error(404, {}, json.dumps({"error": "Servable not found for request: Latest(m)"}).encode(), URL)
    assert error.message == "Servable not found for request: Latest(m)"


def test_a_redirection_names_the_other_address():
    error = reply_error(301, {"location": "https://host/v1/models/m:predict"}, b"<html>moved</html>", URL)
    assert error.message == f"{URL} answered HTTP 301: the server is at https://host/v1/models/m:predict"
    assert reply_error(308, {"location": "/tfs/"}, b"", URL).message.endswith("at http://host:8501/tfs/")
    assert reply_error(304, {}, b"", URL).message.endswith("HTTP 304 without a reason")


def test_the_words_of_grpc_in_the_headers():
    error = reply_error(200, {"grpc-status": "7", "grpc-message": "RBAC%3A access denied"}, b"", URL)
    assert isinstance(error, PermissionDeniedError)
    assert error.message == "RBAC: access denied"
    assert reply_error(503, {"grpc-status": "14"}, b"no healthy upstream", URL).message == "no healthy upstream"
    assert reply_error(503, {"grpc-status": "0"}, b"odd", URL).message.endswith("HTTP 503: odd")


@pytest.mark.parametrize("kind", ["rest", "async-rest"])
def test_headers_arrive(kind, rest_handler, rest_address):
    rest_handler.canned = (200, b"")
    rest_handler.canned_headers = {"grpc-status": "7", "grpc-message": "RBAC: access denied"}
    with CLIENTS[kind](rest_address) as client, pytest.raises(PermissionDeniedError, match=r"^RBAC: access denied"):
        client.status("half")
    rest_handler.canned = (302, b"")
    rest_handler.canned_headers = {"location": "https://login.test/"}
    with (
        CLIENTS[kind](rest_address) as client,
        pytest.raises(UnknownError, match=r"the server is at https://login\.test/"),
    ):
        client.status("half")


@pytest.mark.parametrize("kind", ["grpc", "async-grpc"])
@pytest.mark.parametrize(
    ("fields", "body", "error", "message"),
    [
        ({":status": "413"}, b"<html>", ResourceExhaustedError, "answered HTTP 413: .* Too Large, not in gRPC"),
        ({":status": "504"}, b"upstream", DeadlineExceededError, "answered HTTP 504: Gateway Timeout, not in gRPC"),
        ({":status": "599"}, b"x", UnknownError, "answered HTTP 599: unknown status"),
        ({":status": "200", "content-type": "text/html"}, b"<html>", UnknownError, "answered, but not in gRPC"),
        ({":status": "204", "grpc-status": "14", "grpc-message": "down"}, b"", UnavailableError, "^down"),
    ],
)
def test_over_grpc_too(kind, fields, body, error, message):
    class Gateway(Http2Server):
        def answer(self, stream: int) -> bytes:
            return response(stream, {"content-type": "text/plain", **fields}, body)

    with Gateway() as gateway, CLIENTS[kind](gateway.address, retries=1) as client, pytest.raises(error, match=message):
        client.status("half")
