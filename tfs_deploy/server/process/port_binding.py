"""Taking the server's ports."""

from __future__ import annotations

import errno
import socket

from tfs_deploy.errors import EnvironmentFault, PortInUseError
from tfs_deploy.host.tcp_ports import find_listener


def bind(host: str, port: int, *, what: str) -> socket.socket:
    """Bind a listening socket.

    Raises:
        PortInUseError: somebody listens there; the message names the process if that can be found out.
        EnvironmentFault: the port cannot be used for another reason.
    """
    # with the protocol named, or asyncio does not switch Nagle's algorithm off: 40 ms for every reply in two packets
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
        raise EnvironmentFault(f"the {what} port {port} is none", hint="ports go up to 65535") from error
    return listener


def check_free(host: str, port: int, *, what: str) -> None:
    """Raise ``PortInUseError`` if a port is taken; gRPC itself would share it or say nothing useful."""
    bind(host, port, what=what).close()


def in_use(port: int, *, what: str) -> PortInUseError:
    """Make the error for a taken port."""
    owner = find_listener(port)
    by = f" by {owner}" if owner is not None else ""
    return PortInUseError(
        f"the {what} port {port} is in use{by}", hint=f"stop that process or choose another {what} port"
    )
