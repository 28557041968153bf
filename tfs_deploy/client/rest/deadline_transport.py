# SPDX-License-Identifier: Apache-2.0
"""HTTP connections with one deadline for a whole request, instead of a limit for each of its steps.

httpx limits each wait by itself: connecting to each address of a name, the handshake, every send and every receive may
take the whole timeout. Here the value that httpx passes on as the timeout is the ``time.monotonic()`` by which
everything has to be done.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any, Final

import httpcore
import httpx

from tfs_deploy.client.rest.http_requests import MAX_IDLE_CONNECTIONS
from tfs_deploy.client.rest.reply_bytes import ReplyBytes, without_encoding
from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: seconds for which an idle connection stays open
_KEEPALIVE_EXPIRY: Final = 5.0


class DeadlineTransport(httpx.BaseTransport):
    """A transport for ``httpx.Client``; ``max_reply`` is in bytes."""

    def __init__(self, context: ssl.SSLContext, proxy: str | None, max_reply: int) -> None:
        self._max_reply = max_reply
        options: dict[str, Any] = {
            "ssl_context": context,
            # as many connections as concurrent calls: the callers decide how many those are
            "max_connections": None,
            "max_keepalive_connections": MAX_IDLE_CONNECTIONS,
            "keepalive_expiry": _KEEPALIVE_EXPIRY,
            "network_backend": _Backend(),
        }
        self._pool = httpcore.ConnectionPool(**options) if proxy is None else _proxy_pool(proxy, options)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and return the response; failures are raised as errors of httpcore."""
        url = request.url
        sent = httpcore.Request(
            method=request.method,
            url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        response = self._pool.handle_request(sent)
        headers, encoding = without_encoding(response.headers)
        body = _Body(response.stream, encoding, self._max_reply)
        return httpx.Response(response.status, headers=headers, stream=body, extensions=response.extensions)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, stream: Any, encoding: str, most: int) -> None:
        self._stream, self._encoding, self._most = stream, encoding, most

    def __iter__(self) -> Iterator[bytes]:
        reply = ReplyBytes(self._encoding, self._most)
        return map(reply.feed, self._stream)

    def close(self) -> None:
        self._stream.close()


class _Backend(httpcore.NetworkBackend):
    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers; the time left is shared equally between the addresses."""
        addresses = _addresses(host, port, timeout)
        for number, address in enumerate(addresses):
            share = _left(timeout, httpcore.ConnectTimeout) / (len(addresses) - number)
            try:
                stream = httpcore.SyncBackend().connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if number == len(addresses) - 1:
                    raise
            else:
                return _Stream(stream)
        raise httpcore.ConnectError(f"{host} has no address")


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream
        self._socket: socket.socket = stream.get_extra_info("socket")
        # TLS within TLS, through a proxy: there, writing to the socket would bypass the inner TLS
        self._nested = isinstance(stream.get_extra_info("ssl_object"), ssl.SSLObject)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if self._nested:
            self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))
            return
        rest = memoryview(buffer)
        try:
            while rest:
                self._socket.settimeout(_left(timeout, httpcore.WriteTimeout))
                rest = rest[self._socket.send(rest) :]
        except TimeoutError as error:
            raise httpcore.WriteTimeout(str(error)) from error
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(end: float | None, late: type[Exception]) -> float:
    """Return the seconds until a moment; raise ``late`` if it has passed."""
    if end is None:
        raise AssertionError("every request has a deadline")
    left = end - time.monotonic()
    if left <= 0:
        raise late("the deadline has passed")
    return left


def _addresses(host: str, port: int, end: float | None) -> list[str]:
    """Return the addresses of a name; the lookup has a thread of its own, because it may outlast the deadline."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host)
        return [host]
    found: list[Any] = []

    def look_up() -> None:
        try:
            found.append(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=look_up, daemon=True, name="getaddrinfo")
    thread.start()
    thread.join(_left(end, httpcore.ConnectTimeout))
    if not found:
        raise httpcore.ConnectTimeout(f"the name {host} is still being looked up")
    if isinstance(found[0], OSError):
        raise httpcore.ConnectError(str(found[0])) from found[0]
    return [str(entry[4][0]) for entry in found[0]]


def _proxy_pool(proxy: str, options: dict[str, Any]) -> httpcore.ConnectionPool:
    found = httpx.Proxy(proxy)
    url = httpcore.URL(
        scheme=found.url.raw_scheme, host=found.url.raw_host, port=found.url.port, target=found.url.raw_path
    )
    if found.url.scheme in ("http", "https"):
        return httpcore.HTTPProxy(proxy_url=url, proxy_auth=found.raw_auth, **options)
    try:
        return httpcore.SOCKSProxy(proxy_url=url, proxy_auth=found.raw_auth, **options)
    except ImportError as error:
        raise UsageError(f"the proxy {found.url.host} needs SOCKS", hint="pip install 'httpx[socks]'") from error
