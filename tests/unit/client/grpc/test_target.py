# SPDX-License-Identifier: Apache-2.0
"""gRPC targets, and the proxy on the way to them."""

from __future__ import annotations

import contextlib
import socket
import threading

import pytest

from tfs_deploy.client import AsyncClient, Client
from tfs_deploy.client.grpc.target import grpc_proxy, grpc_target
from tfs_deploy.errors import TfsDeployError, UsageError


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("localhost:8500", "localhost:8500"),
        ("models.internal", "models.internal:8500"),
        ("unix:/run/tfs.sock", "unix:/run/tfs.sock"),
        ("dns:///models:8500", "dns:///models:8500"),
        ("[::1]:8500", "[::1]:8500"),
        # gRPC's own default is 443
        ("[::1]", "[::1]:8500"),
        ("dns:///models", "dns:///models:8500"),
        ("dns:models", "dns:models:8500"),
        ("dns://8.8.8.8/models", "dns://8.8.8.8/models:8500"),
        ("ipv4:10.0.0.1,10.0.0.2:9000", "ipv4:10.0.0.1:8500,10.0.0.2:9000"),
        ("ipv6:[::1]", "ipv6:[::1]:8500"),
        ("xds:///models", "xds:///models"),
        ("tf_serving:8500", "tf_serving:8500"),
        ("MODELS.internal.:8500", "MODELS.internal.:8500"),
        ("[fe80::1%eth0]:8500", "[fe80::1%eth0]:8500"),
        ("m\u00fcnchen.example", "xn--mnchen-3ya.example:8500"),
    ],
)
def test_grpc_targets(target, expected):
    assert grpc_target(target) == expected


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("http://localhost:8500", "is a URL"),
        ("HTTP://localhost:8500", "is a URL"),
        ("https://host/", "is a URL"),
        ("grpc://localhost:8500", "unknown scheme of a gRPC target: grpc://localhost:8500"),
        ("tcp://10.0.0.1:8500", "unknown scheme"),
        ("", "the host is missing"),
        (":8500", "the host is missing"),
        ("localhost:", "the port is not a number from 1 to 65535"),
        ("localhost:0", "the port is not"),
        ("localhost:99999", "the port is not"),
        ("localhost:8500/", "the port is not"),
        ("localhost:8500/v1", "the port is not"),
        ("localhost: 8500", "the port is not"),
        ("localhost:\u0661", "the port is not"),
        ("::1", r"an IPv6 address is written in brackets, such as \[::1\]:8500"),
        ("[::1", "the brackets of the IPv6 address do not match"),
        ("[::1]8500", "the brackets"),
        ("[host]:8500", "not a valid HOST:PORT"),
        ("a..b:8500", "the host is not a valid name"),
        ("user@host:8500", "the host is not a valid name"),
        ("a" * 64, "the host is not a valid name"),
        ("\u00e9" * 64, "the host is not a valid name"),
        ("my host:8500", "the host is not a valid name"),
        ("host\x00:8500", "the host is not a valid name"),
        ("unix:", "not a valid HOST:PORT"),
        ("dns:///", "the host is missing"),
        ("ipv4:models:8500", "not a valid IPv4 address: models"),
        ("ipv6:127.0.0.1:8500", "not a valid IPv6 address"),
        (None, "not a valid HOST:PORT: None"),
        (8500, "not a valid HOST:PORT: 8500"),
        ([None], "not a valid HOST:PORT: None"),
        (b"localhost", "not a valid HOST:PORT"),
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_what_is_no_target(kind, target, reason):
    with pytest.raises(UsageError, match=reason) as caught:
        kind(target)
    assert caught.value.hint


@pytest.mark.parametrize(
    "target",
    ["localhost:1", "127.0.0.1:1", "[::1]:1", "unix:/run/s", "dns:///localhost:1", "ipv4:127.0.0.1:1", "0.0.0.0:1"],
)
def test_there_is_no_proxy_to_this_machine(monkeypatch, target):
    monkeypatch.setenv("http_proxy", "http://proxy.test:3128")
    assert grpc_proxy(target) is None
    assert grpc_proxy("models.test:8500") == "http://proxy.test:3128"


@pytest.mark.parametrize(("no_proxy", "asked"), [("", True), ("10.0.0.0/8", False)])
def test_grpc_goes_through_the_proxy_that_the_rule_names(monkeypatch, no_proxy, asked):
    """In upper case, which gRPC itself does not read."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv("NO_PROXY", no_proxy)
        client = Client("10.255.255.1:8500", retries=1)
        call = threading.Thread(target=_status, args=(client, 20 if asked else 0.2))
        call.start()
        if asked:
            connection, _ = proxy.accept()
            with connection:
                assert connection.recv(100).startswith(b"CONNECT 10.255.255.1:8500 HTTP/1.1")
            client.close()
        call.join()
        proxy.setblocking(False)
        if not asked:
            with pytest.raises(BlockingIOError):
                proxy.accept()


def _status(client, timeout):
    with contextlib.suppress(TfsDeployError):
        client.status("half", timeout=timeout)
