# SPDX-License-Identifier: Apache-2.0
"""The proxy rule: one for gRPC, REST, gates and hooks."""

from __future__ import annotations

import pytest

from tfs_deploy.host.proxies import bypasses, is_this_machine, proxy_for


@pytest.mark.parametrize(
    ("no_proxy", "host", "port", "expected"),
    [
        ("", "models.test", 80, False),
        ("*", "models.test", 80, True),
        ("models.test", "models.test", 80, True),
        ("models.test", "MODELS.test.", 80, True),
        ("test", "models.test", 80, True),
        (".test", "models.test", 80, True),
        (".models.test", "models.test", 80, True),
        ("*.test", "models.test", 80, True),
        ("els.test", "models.test", 80, False),
        ("other, models.test", "models.test", 80, True),
        ("other models.test", "models.test", 80, True),
        ("models.test:8501", "models.test", 8501, True),
        ("models.test:8501", "models.test", 80, False),
        ("10.0.0.0/8", "10.200.3.4", 80, True),
        ("10.0.0.0/8", "11.0.0.1", 80, False),
        ("10.1.2.3/8", "10.200.3.4", 80, True),
        ("10.0.0.1", "10.0.0.1", 80, True),
        ("10.0.0.1:80", "10.0.0.1", 80, True),
        ("10.0.0.1:81", "10.0.0.1", 80, False),
        ("10.0.0.1", "10.0.0.10", 80, False),
        ("0.0.1", "10.0.0.1", 80, False),
        ("fd00::/8", "fd12::1", 80, True),
        ("fd00::/8", "10.0.0.1", 80, False),
        ("10.0.0.0/8", "::ffff:10.0.0.1", 80, True),
        ("[fd12::1]:80", "fd12::1", 80, True),
        ("[fd12::1]:81", "fd12::1", 80, False),
        ("fd12::1", "fd12::1", 80, True),
        ("10.0.0.0/99,::/x,:80,.", "10.0.0.1", 80, False),
        ("10.0.0.0/8", "ten.test", 80, False),
    ],
)
def test_what_no_proxy_names(no_proxy, host, port, expected):
    assert bypasses(no_proxy, host, port) is expected


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::"],
)
def test_this_machine(host, monkeypatch):
    monkeypatch.setenv("all_proxy", "http://proxy.test:1")
    assert is_this_machine(host)
    assert proxy_for("http", host, 80) is None


@pytest.mark.parametrize("host", ["localhost.test", "notlocalhost", "10.0.0.1", "fd00::1"])
def test_other_machines(host):
    assert not is_this_machine(host)


@pytest.mark.parametrize(
    ("environment", "http", "https", "grpc"),
    [
        ({}, None, None, None),
        ({"http_proxy": "http://h:1"}, "http://h:1", None, "http://h:1"),
        ({"HTTPS_PROXY": "s:1"}, None, "http://s:1", "http://s:1"),
        ({"http_proxy": "h", "https_proxy": "s", "grpc_proxy": "g"}, "http://h", "http://s", "http://g"),
        ({"all_proxy": "socks5://a:1"}, "socks5://a:1", "socks5://a:1", None),
        ({"http_proxy": "", "all_proxy": "a"}, "http://a", "http://a", None),
    ],
)
def test_which_proxy(monkeypatch, environment, http, https, grpc):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert [proxy_for(scheme, "models.test", 80) for scheme in ("http", "https", "grpc")] == [http, https, grpc]
