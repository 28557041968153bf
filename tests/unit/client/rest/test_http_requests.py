# SPDX-License-Identifier: Apache-2.0
"""Requests of httpx, the SSL context they are sent with, and what comes of its exceptions."""

from __future__ import annotations

import gzip
import ssl

import httpx
import pytest

from tfs_deploy.client import Tls
from tfs_deploy.client.call.call import Call
from tfs_deploy.client.call.call_record import CallRecord
from tfs_deploy.client.call.model_ref import ModelRef
from tfs_deploy.client.options import Settings
from tfs_deploy.client.rest.http_requests import HttpRequests, http_error
from tfs_deploy.errors import DeadlineExceededError, UnavailableError

PLAIN = "http://127.0.0.1:8501"
TLS = "https://127.0.0.1:8501"


@pytest.mark.parametrize("tls", [None, Tls()])
def test_a_server_has_to_prove_who_it_is(tls):
    context = HttpRequests(TLS, Settings(tls=tls)).ssl_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509_ca"] > 0


def test_a_get_has_no_body_and_a_post_has_one():
    requests = HttpRequests(PLAIN, Settings())
    assert requests.request(Call("/v1/models/m", None)) == ("GET", f"{PLAIN}/v1/models/m", {"content": None})
    assert requests.request(Call("/v1", b"{}")) == ("POST", f"{PLAIN}/v1", {"content": b"{}"})
    assert requests.headers["accept-encoding"] == "identity"


def test_the_headers_of_the_call_go_along():
    record = CallRecord("predict", ModelRef("m"), None, "rest", {"a": "1"}, 0.0)
    _, _, arguments = HttpRequests(PLAIN, Settings()).request(Call("/v1", b"{}", record=record))
    assert arguments == {"content": b"{}", "headers": {"a": "1"}}


def test_what_is_worth_it_is_compressed():
    requests = HttpRequests(PLAIN, Settings(compression="gzip"))
    assert requests.headers["accept-encoding"] == "gzip"
    for size, compressed in ((1023, False), (1024, True)):
        _, _, arguments = requests.request(Call("/v1", b"x" * size))
        body = arguments["content"]
        assert (gzip.decompress(body) if compressed else body) == b"x" * size
        assert arguments.get("headers") == ({"content-encoding": "gzip"} if compressed else None)
    assert requests.request(Call("/v1", None))[2] == {"content": None}


def test_another_name_of_the_server_is_asked_for():
    requests = HttpRequests(TLS, Settings(tls=Tls(name="models.internal")))
    assert requests.request(Call("/v1", None))[2]["extensions"] == {"sni_hostname": "models.internal"}


@pytest.mark.parametrize(
    ("error", "address", "kind", "message", "reached"),
    [
        (httpx.ReadTimeout("late"), PLAIN, DeadlineExceededError, "no answer from 127.0.0.1:8501 within 2 s", None),
        (httpx.ConnectError("refused"), PLAIN, UnavailableError, "cannot reach 127.0.0.1:8501: refused", False),
        (httpx.ConnectError("refused"), TLS, UnavailableError, "cannot reach 127.0.0.1:8501: refused", False),
        (httpx.ReadError("reset"), PLAIN, UnavailableError, "cannot reach 127.0.0.1:8501: reset", None),
        (httpx.ReadError(""), PLAIN, UnavailableError, "cannot reach 127.0.0.1:8501: ReadError", None),
        (httpx.ReadError("reset"), TLS, UnavailableError, "127.0.0.1:8501 closed the connection: reset", None),
        (
            *(httpx.RemoteProtocolError("illegal status line: b'x'"), PLAIN, UnavailableError),
            *("127.0.0.1:8501 does not speak HTTP/1; it may be a gRPC port", None),
        ),
        (
            *(httpx.RemoteProtocolError("peer closed the connection"), PLAIN, UnavailableError),
            *("cannot reach 127.0.0.1:8501: peer closed the connection", None),
        ),
        (httpx.ReadError("illegal"), PLAIN, UnavailableError, "cannot reach 127.0.0.1:8501: illegal", None),
    ],
)
def test_what_went_wrong_is_told(error, address, kind, message, reached):
    found = http_error(error, address, 2.0)
    assert type(found) is kind
    assert found.message == message
    assert found.reached is reached or kind is DeadlineExceededError
    assert found.retriable == ("does not speak" not in message)


def test_what_tls_says_is_found_below_other_errors():
    error = httpx.ConnectError("failed")
    error.__cause__ = ssl.SSLCertVerificationError(1, "[SSL: CERTIFICATE_VERIFY_FAILED] certificate has expired")
    assert "has expired" in http_error(error, TLS, 2.0).message
    assert "has expired" in http_error(httpx.ConnectError("[SSL: X] certificate has expired"), TLS, 2.0).message
