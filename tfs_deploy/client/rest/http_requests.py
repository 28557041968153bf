# SPDX-License-Identifier: Apache-2.0
"""Calls as HTTP requests, and failed HTTP requests as errors; shared by both REST transports."""

from __future__ import annotations

import gzip
import ssl
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.client.call.status_errors import (
    CLIENT_CERTIFICATE,
    grpc_port_error,
    hung_up_error,
    late_error,
    unreachable_error,
)
from tfs_deploy.client.call.tls_errors import tls_error
from tfs_deploy.errors import DataLossError, StatusError, UsageError
from tfs_deploy.extras import import_extra
from tfs_deploy.host.addresses import read_url

if TYPE_CHECKING:
    from tfs_deploy.client.call.call import Call
    from tfs_deploy.client.options import Settings

_HEADERS: Final = {"content-type": "application/json", "accept-encoding": "identity"}
_GZIP_HEADERS: Final = {**_HEADERS, "accept-encoding": "gzip"}
#: bytes: below, gzip costs more than it saves
_WORTH_GZIP: Final = 1024
_GZIP_LEVEL: Final = 1
#: connections that stay open between calls
MAX_IDLE_CONNECTIONS: Final = 64


class HttpRequests:
    """Makes HTTP requests from calls: method, URL, and the keyword arguments that httpx takes."""

    def __init__(self, base_url: str, settings: Settings) -> None:
        self.httpx = import_extra("httpx", "rest")
        self._base_url = base_url
        self._gzip = settings.compression is not None
        self._ssl_context = settings.tls.context() if settings.tls is not None else None
        self._server_name = settings.tls.name if settings.tls is not None else None

    def request(self, call: Call) -> tuple[str, str, dict[str, Any]]:
        """Return method, URL and arguments for a call, without its deadline."""
        body = call.body
        headers = dict(call.record.headers) if call.record is not None else {}
        if self._gzip and body is not None and len(body) >= _WORTH_GZIP:
            body = gzip.compress(body, _GZIP_LEVEL)
            headers["content-encoding"] = "gzip"
        arguments: dict[str, Any] = {"content": body}
        if headers:
            arguments["headers"] = headers
        if self._server_name is not None:
            arguments["extensions"] = {"sni_hostname": self._server_name}
        return "GET" if body is None else "POST", self._base_url + call.path, arguments

    @property
    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        return _GZIP_HEADERS if self._gzip else _HEADERS

    def ssl_context(self) -> ssl.SSLContext:
        """Return the SSL context; an empty one for plain HTTP, because loading the system's authorities is slow."""
        if self._ssl_context is not None:
            return self._ssl_context
        if self._base_url.startswith("https:"):
            context: ssl.SSLContext = self.httpx.create_ssl_context()
            return context
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def closed_error(base_url: str) -> UsageError:
    """Return the error for a call on a closed client."""
    return UsageError(f"the client of {base_url} is closed", hint="make a new one")


def http_error(error: Exception, base_url: str, timeout: float) -> StatusError:
    """Return the error for an exception of httpx or httpcore."""
    import httpcore
    import httpx

    target = read_url(base_url).place
    if isinstance(error, (httpx.TimeoutException, httpcore.TimeoutException)):
        return late_error(target, timeout)
    if isinstance(error, httpx.InvalidURL):  # also a redirect that is not followed is read
        return DataLossError(f"{target} redirects to an address that is not valid: {error}")
    tls_reason = _tls_reason(error)
    if tls_reason is not None:
        return tls_error(target, tls_reason)
    malformed = isinstance(error, (httpx.RemoteProtocolError, httpcore.RemoteProtocolError))
    # the text is h11's; a reply that was cut off is malformed as well, but another attempt may succeed
    if malformed and "illegal" in str(error):
        return grpc_port_error(target)
    sent = not isinstance(error, (httpx.ConnectError, httpcore.ConnectError))
    reason = str(error) or type(error).__name__
    if sent and base_url.startswith("https:"):
        return hung_up_error(target, reason, CLIENT_CERTIFICATE, sent=sent)
    return unreachable_error(target, reason, sent=sent)


def _tls_reason(error: BaseException) -> str | None:
    """Return what the TLS library says in an error or in one that led to it; ``None`` if it says nothing."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError) or "[SSL:" in str(cause):
            return str(cause.args[-1]) if isinstance(cause, ssl.SSLError) else str(cause)
        cause = cause.__cause__ or cause.__context__
    return None
