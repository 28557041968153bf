# SPDX-License-Identifier: Apache-2.0
"""Whether a server is behind an address."""

from __future__ import annotations

import socket
from typing import Final

from tfs_deploy.host.addresses import read_address

_CONNECT_TIMEOUT: Final = 1.0
_PROXY_GIVES_UP: Final = 0.3


def accepts(address: str) -> bool:
    """Tell whether an address accepts connections."""
    try:
        with _connection(address):
            return True
    except OSError:
        return False


def answers(address: str) -> bool:
    """Tell whether a server is behind an address, and not only a proxy that accepts connections for it.

    A proxy closes the connection as soon as it finds no server behind it; a server says something or waits.
    """
    try:
        connection = _connection(address)
    except OSError:
        return False
    with connection:
        connection.settimeout(_PROXY_GIVES_UP)
        try:
            return connection.recv(1) != b""
        except TimeoutError:
            return True
        except OSError:
            return False


def _connection(address: str) -> socket.socket:
    place = read_address(address)
    return socket.create_connection((place.host, place.port), timeout=_CONNECT_TIMEOUT)
