"""Engines that are not Docker's but speak its API: what they lack is noticed and said.

Stands in for Podman's service, which the tests of this project do not install; its answers were read off Podman 4.3.
"""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

import pytest

from tfs_deploy.errors import TfsDeployError
from tfs_deploy.launch.engine import Engine

POLICY = {"Name": "unless-stopped", "MaximumRetryCount": 0}


class Podman(BaseHTTPRequestHandler):
    """Knows the container ``here``, and no way to change it."""

    def do_GET(self) -> None:
        path = self.path.partition("/v1.41")[2] or self.path
        known = {
            "/version": {"ApiVersion": "1.41", "Components": [{"Name": "Podman Engine", "Version": "4.3.1"}]},
            "/info": {"OSType": "linux", "Architecture": "amd64"},
            "/containers/here/json": {"Id": "here"},
        }
        self._answer(known.get(path))

    def do_POST(self) -> None:
        self._answer(None)

    def _answer(self, document: object) -> None:
        body = json.dumps({"message": "Not Found"} if document is None else document).encode()
        self.send_response(404 if document is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    path = str(tmp_path / "podman.sock")
    with socketserver.ThreadingUnixStreamServer(path, Podman) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        engine = Engine()
        try:
            yield engine
        finally:
            engine.close()
            server.shutdown()
            thread.join()


def test_a_restart_policy_that_cannot_be_changed(engine):
    assert engine.restarts("here", POLICY) is False


def test_a_container_that_is_gone_is_another_matter(engine):
    with pytest.raises(TfsDeployError, match="Not Found"):
        engine.restarts("gone", POLICY)
