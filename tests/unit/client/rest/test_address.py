# SPDX-License-Identifier: Apache-2.0
"""REST addresses."""

from __future__ import annotations

import pytest

from tfs_deploy.client import AsyncRestClient, RestClient
from tfs_deploy.client.rest.address import rest_base_url, rest_proxy
from tfs_deploy.errors import (
    UsageError,
)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("localhost:8501", "http://localhost:8501"),
        ("models.internal", "http://models.internal:8501"),
        ("http://host", "http://host"),
        ("https://host/tfs/", "https://host/tfs"),
        ("HTTPS://host", "https://host"),
        ("[::1]:8501", "http://[::1]:8501"),
        ("[::1]", "http://[::1]:8501"),
        ("http://user:word@host:80/", "http://user:word@host:80"),
        ("tf_serving:8501", "http://tf_serving:8501"),
        ("m\u00fcnchen.example", "http://xn--mnchen-3ya.example:8501"),
    ],
)
def test_rest_addresses(address, expected):
    assert rest_base_url(address) == expected


@pytest.mark.parametrize(
    "address",
    [
        "ftp://host",
        "",
        "http://",
        "host:port",
        "http://host?x=1",
        "http://host#x",
        "unix:/run/tfs.sock",
        "ipv6:[::1]:8501",
        "[::1",
        "http://[::1",
        "http://[host]:8501",
        "::1",
        "host:99999",
        "host:",
        "a..b",
        "a" * 64,
        "\u00e9" * 64,
        "my host",
        "http://host/a b",
        "http://host/\nx",
        "http://ho%73t",
    ],
)
@pytest.mark.parametrize("kind", [RestClient, AsyncRestClient])
def test_what_is_no_address(kind, address):
    with pytest.raises(UsageError, match="not a valid HOST:PORT or http URL"):
        kind(address)


@pytest.mark.parametrize("address", [None, 8501, b"localhost", [None]])
def test_what_is_not_even_text(address):
    with pytest.raises(UsageError, match="it is not text"):
        RestClient(address)


def test_tls_is_never_dropped_in_silence():
    with pytest.raises(UsageError, match="TLS is asked for, which is https"):
        RestClient("http://host", tls=True)
    assert repr(RestClient("host", tls=True)) == "RestClient('https://host:8501')"


def test_the_proxy_of_the_scheme(monkeypatch):
    monkeypatch.setenv("http_proxy", "proxy.test:3128")
    monkeypatch.setenv("no_proxy", "10.0.0.0/8,.internal")
    assert rest_proxy("http://models.test:8501/tfs") == "http://proxy.test:3128"
    for direct in ("https://models.test", "http://10.1.2.3:8501", "http://a.internal", "http://[::1]:8501"):
        assert rest_proxy(direct) is None
