"""Binds the server's ports."""

from __future__ import annotations

import errno
import socket

from tfs_deploy.errors import EnvironmentFault, PortInUseError
from tfs_deploy.host.tcp_ports import find_listener


def bind(host: str, port: int, *, what: str) -> socket.socket:
    """Return a socket bound to a port.

    Raises:
        PortInUseError: another process listens there; the message names it if that can be found out.
        EnvironmentFault: the port cannot be used for another reason.
    """
    # asyncio switches Nagle's algorithm off only if the protocol is given: 40 ms for every reply in two packets
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise in_use(port, what=what) from error
        raise EnvironmentFault(
            f"the {what} port {port} cannot be used: {error.strerror}", hint=f"choose another {what} port"
        ) from error
    except OverflowError as error:
        listener.close()
        raise EnvironmentFault(f"{port} is not a valid {what} port", hint="ports go up to 65535") from error
    return listener


def check_free(host: str, port: int, *, what: str) -> None:
    """Raise ``PortInUseError`` if a port is in use; gRPC itself would share it, or fail without a reason."""
    bind(host, port, what=what).close()


def in_use(port: int, *, what: str) -> PortInUseError:
    """Return the error for a port that is in use."""
    owner = find_listener(port)
    by = f" by {owner}" if owner is not None else ""
    return PortInUseError(
        f"the {what} port {port} is in use{by}", hint=f"stop that process or choose another {what} port"
    )
