"""The addresses of a client's servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: gRPC's own schemes, some of which hold lists of addresses with commas
_SCHEMES = ("ipv4:", "ipv6:", "dns:", "unix:", "xds:")


def split_addresses(given: str | Sequence[str]) -> list[str]:
    """Return the addresses of the servers, given as a sequence or as text with commas.

    Raises:
        UsageError: there is no address.
    """
    if isinstance(given, str):
        return [given] if given.startswith(_SCHEMES) else [part.strip() for part in given.split(",")]
    addresses = [part for each in given for part in split_addresses(each)]
    if not addresses:
        raise UsageError("no address is given", hint="give at least one HOST:PORT")
    return addresses
