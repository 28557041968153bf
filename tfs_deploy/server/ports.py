"""Taking a port, and saying who has it if it is taken."""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path

from tfs_deploy.errors import EnvironmentFault, PortInUseError


def bind(host: str, port: int, *, what: str) -> socket.socket:
    """Bind a listening socket.

    Raises:
        PortInUseError: somebody listens there; the message names the process if that can be found out.
        EnvironmentFault: the port cannot be used for another reason.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    # accepted connections inherit it; asyncio sets it only on sockets that name their protocol, and without it a
    # reply of two packets waits 40 ms for the client's delayed acknowledgement
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
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
    return listener


def check_free(host: str, port: int, *, what: str) -> None:
    """Raise ``PortInUseError`` if a port is taken; gRPC itself would share it or say nothing useful."""
    bind(host, port, what=what).close()


def in_use(port: int, *, what: str) -> PortInUseError:
    """Make the error for a taken port."""
    owner = listening_process(port)
    by = f" by {owner}" if owner else ""
    return PortInUseError(
        f"the {what} port {port} is in use{by}", hint=f"stop that process or choose another {what} port"
    )


def listening_process(port: int) -> str | None:
    """Name the process that listens on a TCP port (``python (pid 123)``), if this user may know."""
    inodes = _listening_inodes(port)
    if not inodes:
        return None
    wanted = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if any(_link(fd) in wanted for fd in (process / "fd").iterdir()):
                name = (process / "comm").read_text().strip()
                return f"{name} (pid {process.name})"
    return None


def _link(path: Path) -> str:
    try:
        return str(path.readlink())
    except OSError:
        return ""


def _listening_inodes(port: int) -> set[str]:
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                # state 0A is LISTEN
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    inodes.add(fields[9])
    return inodes
