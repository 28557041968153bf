"""Fetching over HTTP."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from tfs_deploy.errors import UnavailableError, UsageError
from tfs_deploy.rollout.web import fetch


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
