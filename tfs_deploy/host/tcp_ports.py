# SPDX-License-Identifier: Apache-2.0
"""TCP ports of this machine: free ones, bound ones, and the process that listens on one (Linux)."""

from __future__ import annotations

import contextlib
import errno
import itertools
import random
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tfs_deploy.errors import EnvironmentFault, PortInUseError

_LISTEN: Final = "0A"
_PROC: Final = Path("/proc")
_CLIENT_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
#: the first of the ports that no server is assigned to (RFC 6335), which other systems give to clients
_IANA_DYNAMIC: Final = 49_152
_LOWEST_CHOICE, _FEWEST_CHOICES = 10_000, 10_000


@dataclass(frozen=True, slots=True)
class Listener:
    """A process that listens on a port; ``words`` is its whole command line, ``command`` the beginning of it."""

    pid: int
    command: str
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"process {self.pid} ({self.command})"


def listening_inodes(table: str, port: int) -> set[int]:
    """Return the socket inodes that listen on ``port`` in the text of /proc/net/tcp or tcp6."""
    found = set()
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 9 and fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
            found.add(int(fields[9]))
    return found


def listening_addresses(port: int, proc: Path = _PROC) -> set[str]:
    """Return the IP addresses of this machine that a process listens on with ``port``."""
    found = set()
    for name, family, width in (("net/tcp", socket.AF_INET, 1), ("net/tcp6", socket.AF_INET6, 4)):
        with contextlib.suppress(OSError):
            for line in (proc / name).read_text(encoding="ascii").splitlines()[1:]:
                place, _, number = line.split()[1].partition(":")
                if line.split()[3] == _LISTEN and int(number, 16) == port:
                    # words of 32 bits in the machine's own order
                    words = struct.unpack(f">{width}I", bytes.fromhex(place))
                    # gRPC listens for IPv4 on a socket of IPv6
                    text = socket.inet_ntop(family, struct.pack(f"={width}I", *words))
                    found.add(text.removeprefix("::ffff:") if "." in text else text)
    return found


def find_listener(port: int, proc: Path = _PROC) -> Listener | None:
    """Return the process that listens on ``port``, None if there is none or it is another user's."""
    inodes: set[int] = set()
    for table in ("net/tcp", "net/tcp6"):
        with contextlib.suppress(OSError):
            inodes |= listening_inodes((proc / table).read_text(encoding="ascii"), port)
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for entry in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        if _holds(entry / "fd", wanted):
            words = _words(entry)
            return Listener(int(entry.name), _command(words), words)
    return None


def _holds(folder: Path, wanted: set[str]) -> bool:
    # Processes come and go, and those of other users cannot be read.
    with contextlib.suppress(OSError):
        for handle in folder.iterdir():
            with contextlib.suppress(OSError):
                if str(handle.readlink()) in wanted:
                    return True
    return False


def _words(entry: Path) -> tuple[str, ...]:
    with contextlib.suppress(OSError):
        words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        return tuple(word for word in words if word)
    return ()


def _command(words: tuple[str, ...]) -> str:
    text = " ".join(words) or "unknown command"
    return text if len(text) <= 80 else f"{text[:77]}..."


def is_free(port: int) -> bool:
    """Tell whether a server could listen on ``port`` of any address, IPv4 and IPv6."""
    return _can_bind(socket.AF_INET, "0.0.0.0", port) and (  # noqa: S104 - bound for a moment, never listened on
        not socket.has_ipv6 or _can_bind(socket.AF_INET6, "::", port)
    )


def _can_bind(family: socket.AddressFamily, host: str, port: int) -> bool:
    try:
        probe = socket.socket(family, socket.SOCK_STREAM)
    except OSError:
        return True  # no such address family on this machine
    with probe:
        # Without this a connection that was closed a moment ago would count. SO_REUSEPORT stays off: with it two
        # gRPC servers share a port and each gets a part of the requests.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            probe.bind((host, port))
        except PermissionError as error:
            raise PortInUseError(f"port {port} may not be used by this user", hint="choose one from 1024 on") from error
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def require_free(port: int, key: str) -> None:
    """Raise ``PortInUseError`` if a process listens on ``port``; ``key`` is where the port was chosen."""
    if is_free(port):
        return
    raise PortInUseError(f"port {port} is in use{_by(port)}", hint=f"stop it, or choose another {key}")


def free_ports(count: int) -> list[int]:
    """Return different ports that no process uses now.

    They lie below those that the kernel gives to clients: no connection takes one before its server has started.
    """
    ports = list(range(_LOWEST_CHOICE, max(_first_client_port(), _LOWEST_CHOICE + _FEWEST_CHOICES)))
    random.shuffle(ports)
    return list(itertools.islice(filter(is_free, ports), count))


def _first_client_port() -> int:
    """Return the first port that the kernel gives to clients (``ip_local_port_range`` in ip-sysctl of Linux)."""
    try:
        return int(_CLIENT_PORTS.read_text(encoding="ascii").split()[0])
    except (OSError, ValueError, IndexError):
        return _IANA_DYNAMIC


def bind(host: str, port: int, *, what: str) -> socket.socket:
    """Return a socket that is bound to a port, for the server's ``what`` API.

    Raises:
        PortInUseError: another process listens there; the message names it where that is known.
        EnvironmentFault: the port cannot be used for another reason.
    """
    # with the protocol named, or asyncio does not switch Nagle's algorithm off: 40 ms for every reply in two packets
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise _in_use(port, what=what) from error
        raise EnvironmentFault(
            f"the {what} port {port} of {host} cannot be used: {error.strerror}",
            hint=_other_address(host) if error.errno == errno.EADDRNOTAVAIL else f"choose another {what} port",
        ) from error
    except OverflowError as error:
        listener.close()
        raise EnvironmentFault(f"{port} is not a valid {what} port", hint="ports go up to 65535") from error
    return listener


def _other_address(host: str) -> str:
    return f"choose an address of this machine: {host} is not one (ip address lists them)"


def check_free(host: str, port: int, *, what: str) -> None:
    """Raise ``PortInUseError`` if a port is taken; gRPC itself would share it or not say which process has it."""
    bind(host, port, what=what).close()


def _in_use(port: int, *, what: str) -> PortInUseError:
    return PortInUseError(
        f"the {what} port {port} is in use{_by(port)}", hint=f"stop that process or choose another {what} port"
    )


def _by(port: int) -> str:
    listener = find_listener(port)
    return f" by {listener}" if listener is not None else ""
