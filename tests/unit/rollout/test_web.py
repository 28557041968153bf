# SPDX-License-Identifier: Apache-2.0
"""Fetching over HTTP."""

from __future__ import annotations

import contextlib
import shutil
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from tfs_deploy.errors import UnavailableError, UsageError
from tfs_deploy.rollout.web import fetch
from tfs_deploy.rollout.web_access import WebAccess


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://x", "localhost:9090", "", "http://[::1", "http://h:99999", "http://a..b", "http://"],
)
def test_only_http_is_fetched(url):
    with pytest.raises(UsageError, match="is not a valid HTTP URL"):
        fetch(url)


class _Page(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        failed = "failed" in self.path
        self.send_response(400 if failed else 200)
        self.end_headers()
        self.wfile.write(b'{"status": "error", "error": "1:3: parse error"}' if failed else b"a page")

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def page():
    """Yield the address of a server, and the paths that it is asked for, which are URLs if it is asked as a proxy."""
    with ThreadingHTTPServer(("127.0.0.1", 0), type("Page", (_Page,), {"asked": []})) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.server_port}", server.RequestHandlerClass.asked
        server.shutdown()
        thread.join()


def test_this_machine_is_asked_without_a_proxy(page, monkeypatch):
    address, asked = page
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert fetch(f"http://{address}/metrics") == "a page"
    assert asked == ["/metrics"]


def test_another_machine_is_asked_through_the_proxy(page, monkeypatch):
    address, asked = page
    monkeypatch.setenv("HTTP_PROXY", f"http://{address}")
    monkeypatch.setenv("no_proxy", "10.0.0.0/8")
    assert fetch("http://metrics.test/page") == "a page"
    assert asked == ["http://metrics.test/page"]
    with pytest.raises(UnavailableError):
        fetch("http://10.255.255.1/page", timeout=0.1)
    assert len(asked) == 1


def test_the_reason_of_an_error_is_kept(page):
    address, _ = page
    with pytest.raises(UnavailableError, match=f"^http://{address}/failed answered 400 1:3: parse error$"):
        fetch(f"http://{address}/failed")


class _Asker(BaseHTTPRequestHandler):
    """Redirects once, and keeps the headers of each request."""

    headers_of: ClassVar[dict[str, dict[str, str]]] = {}

    def do_GET(self) -> None:
        self.headers_of[self.path] = dict(self.headers)
        self.send_response(302 if self.path == "/moved" else 200)
        if self.path == "/moved":
            self.send_header("Location", "/there")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler], context: ssl.SSLContext | None = None):
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_headers_come_from_the_environment_and_do_not_follow_a_redirection(monkeypatch):
    monkeypatch.setenv("TOKEN", "s3cret")
    access = WebAccess(("Authorization: Bearer ${TOKEN}", "X-Scope-OrgID: shop"))
    access.check()
    with serving(_Asker) as port:
        fetch(f"http://127.0.0.1:{port}/moved", access=access)

    sent = _Asker.headers_of["/moved"]
    assert (sent["Authorization"], {key.lower(): value for key, value in sent.items()}["x-scope-orgid"]) == (
        "Bearer s3cret",
        "shop",
    )
    assert "Authorization" not in _Asker.headers_of["/there"]


@pytest.mark.parametrize(
    ("headers", "ca", "message"),
    [
        (("Authorization: Bearer abc",), "", "would be in the rollout's journal"),
        (("X-Api-Key: abc",), "", "would be in the rollout's journal"),
        (("Authorization: Bearer ${NOT_SET}",), "", "the environment variable NOT_SET of the header Authorization"),
        (("X-Org: $",), "", "has a \\$ without a name"),
        (("no header",), "", "does not begin a valid header"),
        (("X-Org: a\r\nX-Other: b",), "", "does not begin a valid header"),
        ((), "/no/such/ca.pem", "the CA certificates /no/such/ca.pem cannot be read"),
    ],
)
def test_what_no_request_could_use_is_refused_at_the_start(headers, ca, message):
    with pytest.raises(UsageError, match=message):
        WebAccess(headers, ca).check()


def test_a_server_with_a_certificate_of_ones_own_is_trusted_by_its_ca(tmp_path):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "ca.pem"]
    subprocess.run([*line.split(), *map(str, names)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "ca.pem", tmp_path / "key.pem")
    with serving(_Asker, context) as port:
        url = f"https://127.0.0.1:{port}/page"
        with pytest.raises(UnavailableError, match=r"(?i)certificate"):
            fetch(url)
        assert fetch(url, access=WebAccess(ca=str(tmp_path / "ca.pem"))) == "{}"


def test_a_page_that_is_too_large_is_not_judged_by_its_first_part(page, monkeypatch):
    monkeypatch.setattr("tfs_deploy.rollout.web._MOST", 1)
    with pytest.raises(UnavailableError, match="answered with more than"):
        fetch(f"http://{page[0]}/metrics", timeout=60)
