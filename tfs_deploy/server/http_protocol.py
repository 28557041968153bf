"""uvicorn's HTTP protocol with the manners of the server's own (libevent): half-closed connections get their reply."""

from __future__ import annotations

from typing import Any

from tfs_deploy.extras import import_extra


def http_protocol() -> type[Any]:
    """Return the protocol class for ``uvicorn.Config(http=...)``."""
    import_extra("httptools", "server")
    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

    class HttpProtocol(HttpToolsProtocol):
        """Answers a request whose sender has closed its side of the connection after it."""

        def eof_received(self) -> bool | None:  # type: ignore[override]
            cycle = self.cycle
            if cycle is None or cycle.response_complete or cycle.more_body:
                return None
            cycle.keep_alive = False
            return True

    return HttpProtocol
