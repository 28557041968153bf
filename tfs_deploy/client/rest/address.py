# SPDX-License-Identifier: Apache-2.0
"""The address of a REST server, and the proxy on the way to it."""

from __future__ import annotations

from typing import Final

from tfs_deploy.errors import UsageError
from tfs_deploy.host.addresses import read_url, shown_address
from tfs_deploy.host.proxies import proxy_for

DEFAULT_PORT: Final = 8501


def rest_base_url(address: str, *, encrypted: bool = False) -> str:
    """Return the base URL for ``HOST:PORT``, a bare host (port 8501), or an http(s) URL, which may have a path.

    Without a scheme it is http, or https if ``encrypted``.

    Raises:
        UsageError: the address is none of these.
    """
    reason: object = "it has a query or a fragment"
    try:
        url = read_url(address, scheme="https" if encrypted else "http")
        valid = not url.query and "#" not in address
        if encrypted and url.scheme == "http":
            valid, reason = False, "TLS is asked for, which is https"
    except ValueError as error:
        valid, reason = False, error
    if not valid:
        message = f"not a valid HOST:PORT or http URL: {shown_address(address)}: {reason}"
        raise UsageError(message, hint="give for example localhost:8501")
    place = url.place if "://" in address or url.port is not None else f"{url.place}:{DEFAULT_PORT}"
    return f"{url.scheme}://{url.user}{place}{url.path.rstrip('/')}"


def rest_proxy(base_url: str) -> str | None:
    """Return the URL of the proxy on the way to a server; see ``host.proxies``."""
    url = read_url(base_url)
    return proxy_for(url.scheme, url.host, url.port)
