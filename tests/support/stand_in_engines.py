# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for container engines that are not installed here: services on a socket that answer as these would."""

from __future__ import annotations

import json
import platform
import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

#: this machine's processor, as images name it
MACHINE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


class EngineApi(BaseHTTPRequestHandler):
    """Answers what ``known`` holds, by the path without the API's version, and 404 to all else."""

    missing = "Not Found"

    def known(self) -> dict[str, Any]:
        """Return path -> document."""
        raise NotImplementedError

    def do_GET(self) -> None:
        path = re.sub(r"^/v[\d.]+", "", self.path.partition("?")[0])
        self._answer(self.known().get(path))

    def do_POST(self) -> None:
        self._answer(None)

    def _answer(self, document: object) -> None:
        body = json.dumps({"message": self.missing} if document is None else document).encode()
        self.send_response(404 if document is None else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "unix"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def listening(path: Path | None, handler: type[socketserver.BaseRequestHandler]) -> Iterator[str]:
    """Answer on a socket, or on a TCP port, until the block ends; yields what ``DOCKER_HOST`` has to be."""
    server = (
        socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        if path is None
        else socketserver.ThreadingUnixStreamServer(str(path), handler)
    )
    with server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.server_address[1]}" if path is None else f"unix://{path}"
        finally:
            server.shutdown()
            thread.join()
