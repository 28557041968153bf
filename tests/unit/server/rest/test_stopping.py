# SPDX-License-Identifier: Apache-2.0
"""A request that a stopping server gives up is told so: HTTP 503, which a client sends to another server."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

from tfs_deploy.server.rest.application import RestApplication
from tfs_deploy.server.rest.handler import Reply
from tfs_deploy.server.workers import WorkerPool

SCOPE = {"type": "http", "method": "POST", "query_string": b"", "raw_path": b"/v1/models/m:predict", "headers": []}


class Handler:
    """Answers once it is let go."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def handle(self, *_request: Any) -> Reply:
        self.begun.set()
        assert self.go.wait(60)
        return Reply(200, b"{}")


async def receive() -> dict[str, Any]:
    return {"type": "http.request", "body": b"{}"}


def status_and_error(sent: list[Any]) -> tuple[int, str]:
    return sent[0]["status"], json.loads(sent[1]["body"])["error"]


def test_a_request_that_is_cancelled_as_the_server_stops() -> None:
    handler, sent = Handler(), []

    async def send(message: Any) -> None:
        sent.append(message)

    async def main() -> None:
        application = RestApplication(handler, WorkerPool(1, "rest"), timeout=60, cors=False)  # type: ignore[arg-type]
        task = asyncio.create_task(application(SCOPE, receive, send))
        await asyncio.to_thread(handler.begun.wait, 60)
        task.cancel()
        await task
        handler.go.set()

    asyncio.run(main())
    assert status_and_error(sent) == (503, "the server is stopping")


def test_a_request_that_comes_once_the_workers_are_gone() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    workers = WorkerPool(1, "rest")
    workers.shutdown()
    application = RestApplication(Handler(), workers, timeout=60, cors=False)  # type: ignore[arg-type]
    asyncio.run(application(SCOPE, receive, send))
    assert status_and_error(sent) == (503, "the server is stopping")
