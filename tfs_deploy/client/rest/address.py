"""The address of a REST server, and the proxy on the way to it."""

from __future__ import annotations

import re
import urllib.request
from typing import Final
from urllib.parse import urlsplit

from tfs_deploy.errors import UsageError

DEFAULT_PORT: Final = 8501
_LOOPBACK: Final = re.compile(r"^(localhost|127\.\d+\.\d+\.\d+|::1)$")


def rest_base_url(address: str, *, encrypted: bool = False) -> str:
    """Return the base URL for ``HOST:PORT``, a bare host (port 8501), or an http(s) URL, which may have a path.

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
        raise UsageError(f"not a valid HOST:PORT or http URL: {address!r}", hint="give for example localhost:8501")
    netloc = parts.netloc if port is not None or "://" in address else f"{parts.netloc}:{DEFAULT_PORT}"
    return f"{parts.scheme}://{netloc}{parts.path.rstrip('/')}"


def proxy_for(base_url: str) -> str | None:
    """Return the URL of the proxy that the environment or the system names for a server; never for this machine."""
    if _LOOPBACK.match(urlsplit(base_url).hostname or ""):
        return None
    import httpx

    parts = httpx.URL(base_url)
    proxies = urllib.request.getproxies()
    if urllib.request.proxy_bypass(parts.netloc.decode("ascii")):
        return None
    found = proxies.get(parts.scheme) or proxies.get("all")
    return found if found is None or "://" in found else f"http://{found}"
