# SPDX-License-Identifier: Apache-2.0
"""The REST server: uvicorn in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import threading
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.extras import import_extra
from tfs_deploy.server.rest.application import RestApplication
from tfs_deploy.server.rest.limits import RestLimits
from tfs_deploy.server.workers import WorkerPool

if TYPE_CHECKING:
    import socket

    from tfs_deploy.server.rest.handler import RestHandler

_LIMITS: Final = RestLimits()


class RestServer:
    """Runs the application on a socket that is bound already.

    Args:
        handler: answers the requests.
        listener: the bound socket, which is taken over.
        threads: how many requests are worked on at a time.
        timeout: seconds after which a request is given up.
        cors: send CORS headers.
        limits: what clients may take up.
    """

    def __init__(
        self,
        handler: RestHandler,
        listener: socket.socket,
        *,
        threads: int,
        timeout: float,
        cors: bool,
        limits: RestLimits = _LIMITS,
    ) -> None:
        uvicorn = import_extra("uvicorn", "server")
        import_extra("httptools", "server")
        from tfs_deploy.server.rest.http_protocol import HttpProtocol

        self._workers = WorkerPool(threads, "rest")
        application = RestApplication(handler, self._workers, timeout=timeout, cors=cors)
        config = uvicorn.Config(
            application,
            http=functools.partial(HttpProtocol, limits),
            loop="asyncio",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=2048,
            timeout_keep_alive=limits.idle_seconds,
            callback_notify=self._expire,
            timeout_notify=0,
        )
        self._server: Any = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="rest", daemon=True)

    async def _expire(self) -> None:
        """Close connections that are slower than the limits allow; uvicorn calls this every second."""
        now = asyncio.get_running_loop().time()
        for connection in list(self._server.server_state.connections):
            connection.expire(now)

    def _run(self) -> None:
        # start() sees that the thread has ended
        with contextlib.suppress(OSError, SystemExit):
            asyncio.run(self._server.serve(sockets=[self._listener]))

    def start(self) -> None:
        """Begin to answer; returns once the port is open."""
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.005)
            if not self._thread.is_alive():
                raise EnvironmentFault("the REST server did not start", hint="choose another --rest_api_port")

    def stop(self, grace: float) -> None:
        """Close the port, let requests in flight end within ``grace`` seconds."""
        self._server.config.timeout_graceful_shutdown = grace
        self._server.should_exit = True
        self._thread.join(grace + 1.0)
        self._workers.shutdown(wait=False, cancel_futures=True)
