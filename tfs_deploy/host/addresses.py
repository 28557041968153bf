# SPDX-License-Identifier: Apache-2.0
"""The addresses of servers, read in one place: ``HOST:PORT`` and http URLs."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tfs_deploy.errors import UsageError

#: the address of this machine that no other machine reaches
LOOPBACK: Final = "127.0.0.1"
#: the addresses that stand for all of a machine's -> the one that reaches it from itself
_ANY: Final = {"": LOOPBACK, "0.0.0.0": LOOPBACK, "::": "::1"}  # noqa: S104 - compared with, never bound
_LARGEST_PORT: Final = 65535
#: names of containers have underscores
_LABEL: Final = re.compile(r"[A-Za-z0-9_-]{1,63}")
_LONGEST_NAME: Final = 253
#: what no URL contains (RFC 3986): blanks and control characters
_NOT_IN_URLS: Final = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Address:
    """A host and a port; an IPv6 address has no brackets here, and a name is in ASCII."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Url:
    """An http(s) URL; ``port`` is ``None`` if it is the scheme's own, ``user`` is ``name:password@`` or empty."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str
    user: str

    @property
    def place(self) -> str:
        """Host and port as they are written in the URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"


def is_ip_address(text: object) -> bool:
    """Tell whether a value is the text of an IP address, without brackets or a zone."""
    try:
        return isinstance(text, str) and "%" not in text and bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def is_of_this_machine(ip: str) -> bool:
    """Tell whether an IP address belongs to this machine.

    The kernel chooses an address of this machine to send from, and to its own addresses it sends from that address
    itself. Binding to it would prove nothing where net.ipv4.ip_nonlocal_bind is set. Nothing is sent.
    """
    address = ipaddress.ip_address(ip)
    address = getattr(address, "ipv4_mapped", None) or address
    if address.is_loopback or address.is_unspecified:
        return address.is_loopback
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((str(address), 9))
        return bool(ipaddress.ip_address(probe.getsockname()[0]) == address)
    return False


def reached_from_here(ip: str, port: int) -> Address:
    """Return where a server that listens on an IP address of this machine is reached from this machine."""
    return Address(_ANY.get(ip, ip), port)


def read_address(text: object, *, default_port: int | None = None, form: str = "HOST:PORT") -> Address:
    """Return the host and port in a text; ``form`` is what to call it in an error.

    Raises:
        UsageError: it is not an address, or has no port and there is no default one.
    """
    try:
        return _address(text, default_port)
    except ValueError as error:
        example = f"localhost:{default_port or 8500}"
        raise UsageError(
            f"not a valid {form}: {shown_address(text)}: {error}", hint=f"give for example {example}"
        ) from None


def read_server(text: str) -> tuple[Address, Address | None]:
    """Return the gRPC and the REST address in ``HOST:PORT/RESTPORT``; without a REST port the second is ``None``.

    Raises:
        UsageError: it is neither that nor ``HOST:PORT``.
    """
    grpc, slash, port = text.strip().partition("/")
    address = read_address(grpc)
    if not slash:
        return address, None
    try:
        return address, Address(address.host, _port(port))
    except ValueError as error:
        raise UsageError(
            f"not a valid HOST:PORT/RESTPORT: {shown_address(text)}: {error}", hint="for example host:8500/8501"
        ) from None


def shown_address(text: object) -> str:
    """Return the ``repr`` of an address without what stands before an @: a name, a password."""
    if isinstance(text, str) and "@" in text:
        scheme, separator, _ = text.rpartition("://")
        text = f"{scheme}{separator}***@{text.rpartition('@')[2]}"
    return repr(text)


def read_url(text: object, *, scheme: str = "") -> Url:
    """Return the parts of an http(s) URL; ``scheme`` is that of a text without one.

    Raises:
        ValueError: it is not one; the text says why.
    """
    if not isinstance(text, str):
        raise ValueError("it is not text")  # noqa: TRY004 - as for any other address
    if "://" not in text and scheme:
        text = f"{scheme}://{text}"
    if _NOT_IN_URLS.search(text):
        raise ValueError("a URL has no blanks")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"the scheme is not http or https: {parts.scheme!r}")
    user, at, place = parts.netloc.rpartition("@")
    host, port = _split(place)
    return Url(parts.scheme, _host(host), None if port is None else _port(port), parts.path, parts.query, user + at)


def _address(text: object, default_port: int | None) -> Address:
    if not isinstance(text, str):
        raise ValueError("it is not text")  # noqa: TRY004 - as for any other address
    host, written = _split(text)
    port = default_port if written is None else _port(written)
    if port is None:
        raise ValueError("the port is missing")
    return Address(_host(host), port)


def _split(text: str) -> tuple[str, str | None]:
    """Return the host, an IPv6 address with its brackets, and the text of the port."""
    if text.startswith("["):
        host, bracket, rest = text.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise ValueError("the brackets of the IPv6 address do not match")
        return host + bracket, rest[1:] if rest else None
    if text.count(":") > 1:
        raise ValueError("an IPv6 address is written in brackets, such as [::1]:8500")
    host, colon, port = text.partition(":")
    return host, port if colon else None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:6]) <= _LARGEST_PORT:
        raise ValueError(f"the port is not a number from 1 to {_LARGEST_PORT}")
    return int(text)


def _host(text: str) -> str:
    if not text:
        raise ValueError("the host is missing")
    if text.startswith("["):
        return str(ipaddress.IPv6Address(text[1:-1]))
    try:
        name = text.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError("the host is not a valid name") from None
    labels = name.removesuffix(".").split(".")
    if len(name) > _LONGEST_NAME or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("the host is not a valid name")
    return name
