# SPDX-License-Identifier: Apache-2.0
"""A registry of MLflow that speaks as much of its REST API as reading takes, with the artefacts of versions in folders.

Its replies have the form of those of ``mlflow server`` 3.17.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from typing_extensions import Self

_API = "/api/2.0/mlflow/"
_ARTEFACTS = "/api/2.0/mlflow-artifacts/artifacts"


class MlflowServer:
    """Serves ``folders``: version -> the folder of its artefacts, of the model ``name``; ``aliases``: alias -> version.

    ``status``: what every request is answered with, if it is not 200. ``cuts``: answer files with half of their bytes.
    """

    def __init__(self, name: str, folders: dict[int, Path], aliases: dict[str, int] | None = None) -> None:
        self.name, self.folders, self.aliases = name, folders, aliases or {}
        self.status, self.cuts, self.states = 200, False, dict.fromkeys(folders, "READY")
        server = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                asked = {key: values[0] for key, values in parse_qs(parts.query).items()}
                status, body = server.answer(unquote(parts.path), asked)
                self.send_response_only(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        arguments = {"poll_interval": 0.05}
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs=arguments, daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def answer(self, path: str, asked: dict[str, str]) -> tuple[int, bytes]:
        """Return the status and body of one answer."""
        if self.status != 200:
            return self.status, b"secret-message"
        if path.startswith(_ARTEFACTS):
            return self._artefact(path.removeprefix(_ARTEFACTS).strip("/"), asked.get("path"))
        found = self._registry(path.removeprefix(_API), asked)
        if found is None:
            missing = {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "it was not found"}
            return 404, json.dumps(missing).encode()
        return 200, json.dumps(found).encode()

    def _registry(self, path: str, asked: dict[str, str]) -> dict[str, Any] | None:
        if path == "model-versions/search":
            known = asked["filter"] == f"name='{self.name}'"
            return {"model_versions": [self._version(number) for number in self.folders] if known else []}
        number = self.aliases.get(asked["alias"]) if "alias" in asked else int(asked.get("version", 0))
        if asked.get("name") != self.name or (number not in self.folders and path != "registered-models/get"):
            return None
        assert number is not None
        if path == "model-versions/get-download-uri":
            return {"artifact_uri": f"mlflow-artifacts:/{number}"}
        if path in ("model-versions/get", "registered-models/alias"):
            return {"model_version": self._version(number)}
        return {"registered_model": {"name": self.name}}

    def _version(self, number: int) -> dict[str, Any]:
        source = f"mlflow-artifacts:/{number}"
        state = self.states[number]
        return {"name": self.name, "version": str(number), "creation_timestamp": 0, "source": source, "status": state}

    def _artefact(self, path: str, listed: str | None) -> tuple[int, bytes]:
        number, _, below = (path or listed or "").partition("/")
        place = self.folders[int(number)] / below
        if not path:
            entries = sorted(place.iterdir()) if place.is_dir() else []
            files = [
                {"path": each.name, "is_dir": each.is_dir()}
                | ({} if each.is_dir() else {"file_size": each.stat().st_size})
                for each in entries
            ]
            return 200, json.dumps({"files": files}).encode()
        if not place.is_file():
            return 404, b""
        data = place.read_bytes()
        return 200, data[: len(data) // 2] if self.cuts else data
