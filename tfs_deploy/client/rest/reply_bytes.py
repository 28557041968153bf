# SPDX-License-Identifier: Apache-2.0
"""The bytes of a reply as they come, unpacked and counted: a server that is not ours decides how many it sends."""

from __future__ import annotations

import zlib
from typing import Any, Final

from tfs_deploy.errors import DataLossError, ResourceExhaustedError

#: a header of gzip or of zlib, whichever comes
_ANY_HEADER: Final = 47
_PACKED: Final = frozenset({"gzip", "x-gzip", "deflate"})


class ReplyBytes:
    """Unpacks a reply; raises ``ResourceExhaustedError`` as soon as it is larger than ``most`` bytes.

    ``encoding`` is its Content-Encoding: none, gzip or deflate; ``DataLossError`` for another, or for several.
    """

    def __init__(self, encoding: str, most: int) -> None:
        name = encoding.strip().lower()
        if name not in _PACKED and name not in ("", "identity"):
            raise DataLossError(f"the reply is packed as {encoding[:40]!r}, which the client did not ask for")
        self._unpack: Any = zlib.decompressobj(_ANY_HEADER) if name in _PACKED else None
        self._most = self._left = self._raw_left = most

    def feed(self, data: bytes) -> bytes:
        """Return what some bytes of the body stand for."""
        self._raw_left -= len(data)
        if self._unpack is not None and self._unpack.eof:
            data = b""
        elif self._unpack is not None:
            try:
                # one byte more shows that there is more
                data = self._unpack.decompress(data, self._left + 1)
            except zlib.error as error:
                raise DataLossError(f"the reply cannot be unpacked: {error}") from error
        self._left -= len(data)
        if min(self._left, self._raw_left) < 0:
            raise ResourceExhaustedError(
                f"the reply is larger than {self._most} bytes",
                hint="ask for less, or give the client max_reply=BYTES",
                retriable=False,
            )
        return data


def without_encoding(headers: list[tuple[bytes, bytes]]) -> tuple[list[tuple[bytes, bytes]], str]:
    """Return headers without Content-Encoding, as ``ReplyBytes`` unpacks, and what it said."""
    said = [value for name, value in headers if name.lower() == b"content-encoding"]
    rest = [(name, value) for name, value in headers if name.lower() != b"content-encoding"] if said else headers
    return rest, b", ".join(said).decode("latin-1")
