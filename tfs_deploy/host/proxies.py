# SPDX-License-Identifier: Apache-2.0
"""The proxy on the way to a server: one rule for gRPC, REST, gates and hooks.

``http_proxy`` and ``https_proxy`` (in either case; ``all_proxy`` for both) name the proxy for URLs of that scheme, and
``grpc_proxy``, ``https_proxy`` or ``http_proxy``, the first that is set, that for gRPC. There is never one on the way
to this machine, nor to what ``no_proxy`` names: with commas in between, a name with all names below it, an IP address,
a network such as 10.0.0.0/8, each of them with ``:PORT`` for one port only, or ``*`` for everything.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "http": ("http", "all"),
    "https": ("https", "all"),
    "grpc": ("grpc", "https", "http"),
}
_DEFAULT_PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}


def proxy_for(scheme: str, host: str, port: int | None) -> str | None:
    """Return the URL of the proxy on the way to a server; ``None`` = none.

    Args:
        scheme: http, https or grpc.
        host: name or IP address, the latter without brackets.
        port: ``None`` = the scheme's own.
    """
    if is_this_machine(host):
        return None
    import urllib.request  # inside: it takes longer than everything else here

    proxies = urllib.request.getproxies()
    named = bypasses(proxies.get("no", ""), host, port or _DEFAULT_PORTS.get(scheme, 0))
    # the second one knows what a system sets beside the environment
    if named or urllib.request.proxy_bypass(host):
        return None
    found = next((proxies[name] for name in _NAMES[scheme] if proxies.get(name)), None)
    return found if found is None or "://" in found else f"http://{found}"


def is_this_machine(host: str) -> bool:
    """Return whether a host is this machine for sure: a loopback address, or the one that stands for all of its own."""
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):
        return True
    address = _ip_address(name)
    return address is not None and (address.is_loopback or address.is_unspecified)


def bypasses(no_proxy: str, host: str, port: int) -> bool:
    """Return whether the text of ``no_proxy`` names a server."""
    name = host.lower().removesuffix(".")
    address = _ip_address(name)
    return any(_names(entry, name, address, port) for entry in no_proxy.lower().replace(",", " ").split())


def _names(entry: str, name: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int) -> bool:
    if entry == "*":
        return True
    place, only = _without_port(entry)
    if only is not None and only != port:
        return False
    if address is not None:
        try:
            # a network of the other IP version does not hold the address
            return address in ipaddress.ip_network(place, strict=False)
        except ValueError:
            return False
    suffix = place.removeprefix("*").removeprefix(".").removesuffix(".")
    return bool(suffix) and (name == suffix or name.endswith(f".{suffix}"))


def _without_port(entry: str) -> tuple[str, int | None]:
    """Return an entry's place and port; the colons of an IPv6 address without brackets are its own."""
    place, colon, port = entry.rpartition(":")
    if entry.endswith("]") or not colon or not port.isdecimal() or (":" in place and not place.endswith("]")):
        place, port = entry, ""
    return place.removeprefix("[").removesuffix("]"), int(port) if port else None


def _ip_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
