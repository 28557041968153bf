# SPDX-License-Identifier: Apache-2.0
"""yaml-language-server, the one of VS Code's YAML extension, driven over LSP as an editor does."""

from __future__ import annotations

import itertools
import json
import os
import select
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from support.npm import NotInstalledError, installed

HERE = Path(__file__).parent


def find_server() -> Path:
    """Return the server's program, installed once outside the tree; a test without it is skipped."""
    try:
        return (
            installed(HERE, "tfs-deploy-editor", "TFS_DEPLOY_EDITOR_CACHE")
            / "node_modules/yaml-language-server/bin/yaml-language-server"
        )
    except NotInstalledError as error:
        pytest.skip(f"no language server: {error}")


class LanguageServer:
    """A server with its open documents; every question has 60 s."""

    def __init__(self, program: Path, root: Path) -> None:
        self._process = subprocess.Popen(
            ["node", program, "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        self._numbers = itertools.count(1)
        self._rest = b""
        self._found: dict[str, list[dict[str, Any]]] = {}
        self._settings = {"yaml": {"schemaStore": {"enable": False}, "validate": True, "hover": True}}
        capabilities = {"workspace": {"configuration": True}, "textDocument": {"hover": {}, "completion": {}}}
        self._ask("initialize", processId=os.getpid(), rootUri=root.as_uri(), capabilities=capabilities)
        self._tell("initialized")
        self._tell("workspace/didChangeConfiguration", settings=self._settings)

    def open(self, path: Path) -> list[str]:
        """Open a file as it is on disk and return what the server finds in it: ``LINE: MESSAGE``, lines from 1."""
        document = {"uri": path.as_uri(), "languageId": "yaml", "version": 1, "text": path.read_text()}
        self._tell("textDocument/didOpen", textDocument=document)
        deadline = time.monotonic() + 60
        while path.as_uri() not in self._found:
            self._receive(deadline)
        found = sorted(self._found[path.as_uri()], key=lambda one: one["range"]["start"]["line"])
        return [f"{one['range']['start']['line'] + 1}: {one['message']}" for one in found]

    def complete(self, path: Path, line: int, column: int) -> set[str]:
        """Return the labels that are offered at a place of an open file; line from 1, column from 0."""
        answer = self._at("completion", path, line, column)
        return {item["label"] for item in answer["items"]}

    def hover(self, path: Path, line: int, column: int) -> str:
        """Return the text that is shown at a place of an open file."""
        answer = self._at("hover", path, line, column)
        return "" if answer is None else str(answer["contents"]["value"])

    def close(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.communicate()

    def _at(self, what: str, path: Path, line: int, column: int) -> Any:
        place = {"line": line - 1, "character": column}
        return self._ask(f"textDocument/{what}", textDocument={"uri": path.as_uri()}, position=place)

    def _ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        self._send({"id": number, "method": method, "params": parameters})
        deadline = time.monotonic() + 60
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == number and "method" not in answer:
                assert "error" not in answer, answer
                return answer["result"]

    def _tell(self, method: str, **parameters: Any) -> None:
        self._send({"method": method, "params": parameters})

    def _send(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self, deadline: float) -> dict[str, Any]:
        """Return the next message, after what it asks for was answered."""
        head = self._read_until(lambda data: data.partition(b"\r\n\r\n")[1] != b"", deadline)
        fields, _, body = head.partition(b"\r\n\r\n")
        length = int(fields.lower().partition(b"content-length:")[2].split()[0])
        self._rest = body
        self._rest = self._read_until(lambda data: len(data) >= length, deadline)
        message: dict[str, Any] = json.loads(self._rest[:length])
        self._rest = self._rest[length:]
        if message.get("method") == "textDocument/publishDiagnostics":
            self._found[message["params"]["uri"]] = message["params"]["diagnostics"]
        elif "method" in message and "id" in message:
            items = message["params"].get("items", []) if message["method"] == "workspace/configuration" else None
            result = None if items is None else [self._settings.get(item["section"]) for item in items]
            self._send({"id": message["id"], "result": result})
        return message

    def _read_until(self, enough: Any, deadline: float) -> bytes:
        assert self._process.stdout is not None
        pipe, data = self._process.stdout.fileno(), self._rest
        while not enough(data):
            ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the language server is silent"
            more = os.read(pipe, 1 << 16)
            assert more, "the language server ended"
            data += more
        return data
