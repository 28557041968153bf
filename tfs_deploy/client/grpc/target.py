# SPDX-License-Identifier: Apache-2.0
"""The target of a gRPC channel, and the proxy on the way to it."""

from __future__ import annotations

import ipaddress
import re
import sys
from typing import Final

from tfs_deploy.errors import PlatformError, UsageError
from tfs_deploy.host.addresses import Address, read_address
from tfs_deploy.host.proxies import is_this_machine, proxy_for

DEFAULT_PORT: Final = 8500
#: sockets that Windows lacks
_SOCKETS: Final = ("unix:", "unix-abstract:", "vsock:")
#: gRPC's own schemes (doc/naming.md) whose rest is not an address of IP
_OTHER_SCHEMES: Final = (*_SOCKETS, "xds:", "google-c2p:")
_DNS: Final = re.compile(r"(dns:(?://[^/]*/)?)(.*)", re.DOTALL)
_ADDRESSES: Final = re.compile(r"(ipv4:|ipv6:)(.*)", re.DOTALL)
_URL: Final = re.compile(r"https?://", re.IGNORECASE)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


def grpc_target(target: str) -> str:
    """Return the target, with the default port where none is given; ``unix:``, ``dns:///`` and the like stay.

    Raises:
        UsageError: the target is a URL, which is for the REST client, or not an address.
        PlatformError: it is a kind of socket that this system lacks.
    """
    prefix, addresses = _parts(target)
    return prefix + ",".join(map(str, addresses))


def grpc_proxy(target: str) -> str | None:
    """Return the URL of the proxy on the way to a server; see ``host.proxies``. Several addresses have none."""
    _, addresses = _parts(target)
    if len(addresses) != 1 or is_this_machine(addresses[0].host):
        return None
    return proxy_for("grpc", addresses[0].host, addresses[0].port)


def _parts(target: object) -> tuple[str, list[Address]]:
    """Return the scheme of a target, and the addresses behind it; a target that has no addresses is all scheme."""
    text = target if isinstance(target, str) else ""
    if _URL.match(text):
        raise UsageError(
            f"{target} is a URL, but the gRPC client takes HOST:PORT", hint="use RestClient (--rest) for URLs"
        )
    if sys.platform == "win32" and text.startswith(_SOCKETS):
        raise PlatformError(f"the address {text}")
    if text.startswith(_OTHER_SCHEMES) and text not in _OTHER_SCHEMES:
        return text, []
    if match := _DNS.fullmatch(text):
        return match[1], [read_address(match[2], default_port=DEFAULT_PORT, form="HOST:PORT behind dns:")]
    if match := _ADDRESSES.fullmatch(text):
        addresses = [read_address(each, default_port=DEFAULT_PORT) for each in match[2].split(",")]
        for address in addresses:
            _check_version(match[1], address)
        return match[1], addresses
    if match := _SCHEME.match(text):
        hint = f"give HOST:PORT without {match[0]}, or a target of gRPC such as dns:///HOST:PORT"
        raise UsageError(f"unknown scheme of a gRPC target: {target}", hint=hint)
    return "", [read_address(target, default_port=DEFAULT_PORT)]


def _check_version(scheme: str, address: Address) -> None:
    version = 4 if scheme == "ipv4:" else 6
    try:
        fits = ipaddress.ip_address(address.host).version == version
    except ValueError:
        fits = False
    if not fits:
        raise UsageError(f"not a valid IPv{version} address: {address.host}", hint="use dns:///HOST:PORT for a name")
