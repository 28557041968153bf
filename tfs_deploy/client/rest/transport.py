"""HTTP connections: made on first use in each process, kept open between calls."""

from __future__ import annotations

import gzip
import os
import re
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tfs_deploy.client.call.faults import rest_fault, speaks_grpc, too_late, unreachable
from tfs_deploy.codec.json.client import parse_json
from tfs_deploy.errors import DataLossError, StatusError, UsageError
from tfs_deploy.extras import import_extra

if TYPE_CHECKING:
    from tfs_deploy.client.call.steps import Call
    from tfs_deploy.client.options import Settings

DEFAULT_PORT: Final = 8501
_LOOPBACK: Final = re.compile(r"^(localhost|127\.\d+\.\d+\.\d+|::1)$")
HEADERS: Final = {"content-type": "application/json", "accept-encoding": "identity"}
_GZIP_HEADERS: Final = {**HEADERS, "accept-encoding": "gzip"}
#: bytes: below, gzip costs more than it saves
_WORTH_GZIP: Final = 1024
_GZIP_LEVEL: Final = 1
#: connections that are kept open between calls
KEPT: Final = 64


def rest_base_url(address: str, *, encrypted: bool = False) -> str:
    """Complete an address: ``HOST:PORT``, a bare host (port 8501), or an http(s) URL, which may have a path.

    Without a scheme it is http, or https if ``encrypted``.

    Raises:
        UsageError: the address is none of these.
    """
    url = address if "://" in address else f"http{'s' if encrypted else ''}://{address}"
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        parts = parts._replace(netloc="")
        port = None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise UsageError(f"{address!r} is neither HOST:PORT nor an http URL", hint="give for example localhost:8501")
    netloc = parts.netloc if port is not None or "://" in address else f"{parts.netloc}:{DEFAULT_PORT}"
    return f"{parts.scheme}://{netloc}{parts.path.rstrip('/')}"


class HttpRequests:
    """Calls as HTTP requests: method, URL, and the keyword arguments that httpx takes."""

    def __init__(self, base_url: str, settings: Settings) -> None:
        self.httpx = import_extra("httpx", "rest")
        self._base_url = base_url
        self._gzip = settings.compression is not None
        self._tls = settings.tls.context() if settings.tls is not None else None
        self._name = settings.tls.name if settings.tls is not None else None

    def request(self, call: Call) -> tuple[str, str, dict[str, Any]]:
        """Return how a call is sent, except for its deadline."""
        body = call.body
        headers = dict(call.record.headers) if call.record is not None else {}
        if self._gzip and body is not None and len(body) >= _WORTH_GZIP:
            body = gzip.compress(body, _GZIP_LEVEL)
            headers["content-encoding"] = "gzip"
        more: dict[str, Any] = {"content": body}
        if headers:
            more["headers"] = headers
        if self._name is not None:
            more["extensions"] = {"sni_hostname": self._name}
        return "GET" if body is None else "POST", self._base_url + call.path, more

    @property
    def headers(self) -> dict[str, str]:
        """What is sent with every request."""
        return _GZIP_HEADERS if self._gzip else HEADERS

    def context(self) -> ssl.SSLContext:
        """Return whom to trust; nobody where nothing is encrypted: reading the list of authorities takes its time."""
        if self._tls is not None:
            return self._tls
        if self._base_url.startswith("https:"):
            context: ssl.SSLContext = self.httpx.create_ssl_context()
            return context
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    def proxy(self) -> str | None:
        """Return the environment's proxy for this server; this machine itself has none."""
        from tfs_deploy.client.rest.connection import proxy_for

        return proxy_for(self._base_url) if uses_proxies(self._base_url) else None


class RestTransport:
    """Sends calls over a connection pool of its own; safe to share between threads and across ``fork``."""

    def __init__(self, base_url: str, settings: Settings) -> None:
        self.base_url = base_url
        self._requests = HttpRequests(base_url, settings)
        self._httpx = self._requests.httpx
        self._pools: dict[int, Any] = {}
        self._closed = False

    def perform(self, call: Call) -> bytes:
        """Send one request and return the reply's body; raise a ``StatusError`` if there is none or it is an error."""
        pool = self._pools.get(os.getpid()) or self._open()
        method, url, more = self._requests.request(call)
        # moments in the place of seconds: see rest_connection
        more.setdefault("extensions", {})["timeout"] = dict.fromkeys(("connect", "write", "read"), call.end)
        try:
            response = pool.request(method, url, **more)
        except (self._httpx.HTTPError, *connection_errors()) as error:
            raise http_fault(error, self.base_url, call.allowed) from error
        except RuntimeError as error:
            if not self._closed:
                raise
            raise after_close(self.base_url) from error
        body: bytes = response.content
        if response.status_code != self._httpx.codes.OK:
            raise rest_fault(response.status_code, error_message(body), url)
        return body

    def close(self) -> None:
        """Close the connections; calls after this are refused."""
        self._closed = True
        pool = self._pools.pop(os.getpid(), None)
        if pool is not None:
            pool.close()

    def _open(self) -> Any:
        if self._closed:
            raise after_close(self.base_url)
        from tfs_deploy.client.rest.connection import DeadlineTransport

        transport = DeadlineTransport(self._requests.context(), self._requests.proxy())
        made = self._httpx.Client(transport=transport, headers=self._requests.headers, trust_env=False)
        # without a lock, which a fork could leave locked: of two threads the first one's pool is kept
        kept = self._pools.setdefault(os.getpid(), made)
        if kept is not made:
            made.close()
        return kept


def after_close(base_url: str) -> UsageError:
    """Make the error for a call on a closed client."""
    return UsageError(f"the client of {base_url} is closed", hint="make a new one")


def uses_proxies(base_url: str) -> bool:
    """Whether the environment's proxies apply; never to this machine itself."""
    return not _LOOPBACK.match(urlsplit(base_url).hostname or "")


def connection_errors() -> tuple[type[Exception], ...]:
    """Return the errors of a connection as httpcore, on which httpx stands, raises them."""
    import httpcore

    return (
        httpcore.TimeoutException,
        httpcore.NetworkError,
        httpcore.ProtocolError,
        httpcore.ProxyError,
        httpcore.UnsupportedProtocol,
    )


def http_fault(error: Exception, base_url: str, timeout: float) -> StatusError:
    """Translate an exception of httpx or httpcore."""
    import httpcore
    import httpx

    target = urlsplit(base_url).netloc
    if isinstance(error, (httpx.TimeoutException, httpcore.TimeoutException)):
        return too_late(target, timeout)
    misread = isinstance(error, (httpx.RemoteProtocolError, httpcore.RemoteProtocolError))
    # the text is h11's; what was cut off in the middle is no HTTP either, but another attempt may do
    if misread and "illegal" in str(error):
        return speaks_grpc(target)
    return unreachable(target, str(error) or type(error).__name__)


def error_message(body: bytes) -> str | None:
    """Return the text of ``{"error": ...}``; ``None`` where a reply is no such JSON."""
    try:
        document = parse_json(body)
    except DataLossError:
        return None
    message = document.get("error") if isinstance(document, dict) else None
    return message if isinstance(message, str) else None
