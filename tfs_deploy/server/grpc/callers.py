# SPDX-License-Identifier: Apache-2.0
"""Which callers are on this machine: only they may change the server, unless it was told otherwise."""

from __future__ import annotations

import ipaddress
import logging
from urllib.parse import unquote

from tfs_deploy.errors import PermissionDeniedError
from tfs_deploy.host.addresses import is_of_this_machine

_log = logging.getLogger(__name__)


def require_this_machine(peer: str) -> None:
    """Refuse a caller of another machine.

    Args:
        peer: the caller as gRPC names it: ``ipv4:10.0.0.7:4242``, ``ipv6:[::1]:4242``, ``unix:`` (naming.md of gRPC).

    Raises:
        PermissionDeniedError: the caller is not on this machine, or what it is called is not understood.
    """
    if peer.startswith(("unix:", "unix-abstract:")):
        return
    host = _host(peer)
    if host is not None and is_of_this_machine(host):
        return
    _log.warning("refused a reload of the config from %s", peer)
    raise PermissionDeniedError(
        "the config is replaced from the server's own machine only; start the server with --remote_reload=true "
        "(server.embedded.remote_reload) to let other machines do it"
    )


def _host(peer: str) -> str | None:
    scheme, _, place = unquote(peer).partition(":")
    host = place.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        return str(ipaddress.ip_address(host)) if scheme in ("ipv4", "ipv6") else None
    except ValueError:
        return None
