# SPDX-License-Identifier: Apache-2.0
"""The addresses of a client's servers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

#: gRPC's own schemes, some of which hold lists of addresses with commas
_SCHEMES = ("ipv4:", "ipv6:", "dns:", "unix:", "xds:")


def split_addresses(given: str | Sequence[str]) -> list[str]:
    """Return the addresses of the servers, given as a sequence or as text with commas.

    Raises:
        UsageError: the address is missing, or is not text.
    """
    if isinstance(given, str):
        return [given] if given.startswith(_SCHEMES) else [part.strip() for part in given.split(",")]
    addresses = [part for each in _members(given) for part in split_addresses(each)]
    if not addresses:
        raise UsageError("no address is given", hint="give at least one HOST:PORT")
    return addresses


def _members(given: object) -> list[Any]:
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise UsageError(f"not a valid HOST:PORT: {given!r}: it is not text", hint="give for example localhost:8500")
    return list(given)
