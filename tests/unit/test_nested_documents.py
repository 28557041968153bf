# SPDX-License-Identifier: Apache-2.0
"""JSON of others that nests too deeply is an error like any other mistake in it."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tfs_deploy.client import RestClient
from tfs_deploy.codec.json.client import parse_json
from tfs_deploy.errors import DataLossError, TfsDeployError
from tfs_deploy.host.http_replies import reply_text
from tfs_deploy.savedmodel.layout import MANIFEST
from tfs_deploy.savedmodel.manifest import read_manifest
from tfs_deploy.text import parse_document

DEPTHS = [60, 990, 200_000]


def test_a_document() -> None:
    assert parse_document(b'{"a": [1]}') == {"a": [1]}
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_document("[" * 200_000)


def test_a_reply() -> None:
    with pytest.raises(DataLossError, match="nested too deeply"):
        parse_json(b"[" * 200_000 + b"]" * 200_000)
    assert reply_text(b"[" * 200_000)


@contextlib.contextmanager
def answering(status: bytes, body: bytes) -> Iterator[str]:
    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            head = b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
            with contextlib.suppress(OSError):
                self.request.sendall(head + body)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("status", [b"200 OK", b"400 Bad Request", b"503 Service Unavailable"])
def test_a_client_of_a_server_that_answers_so(status: bytes, depth: int) -> None:
    calls: list[Callable[[RestClient], Any]] = [
        lambda client: client.predict("m", {"x": [1.0]}),
        lambda client: client.classify("m", [{"a": 1.0}]),
        lambda client: client.metadata("m"),
    ]
    for form in (b"[%b]", b'{"outputs": %b}', b'{"error": %b}', b'{"metadata": %b}'):
        body = form % (b"[" * depth + b"1" + b"]" * depth)
        with answering(status, body) as address, RestClient(address, check=False, retries=1, timeout=60) as client:
            for call in calls:
                # some are values of many dimensions, which is what the server said
                with contextlib.suppress(TfsDeployError):
                    call(client)


def test_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "assets.extra").mkdir()
    (tmp_path / MANIFEST).write_text("[" * 200_000)
    with pytest.raises(TfsDeployError, match=r"tfs_deploy\.json"):
        read_manifest(tmp_path)
