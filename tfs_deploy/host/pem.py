# SPDX-License-Identifier: Apache-2.0
"""PEM files as tools and editors leave them: with comments, a byte order mark, other line ends, in UTF-16."""

from __future__ import annotations

import codecs
import re
import ssl
import tempfile
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

CERTIFICATE: Final = "CERTIFICATE"
PRIVATE_KEY: Final = "PRIVATE KEY"
ENCRYPTED_KEY: Final = "ENCRYPTED PRIVATE KEY"
_BLOCK: Final = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\s*(.*?)-----END \1-----", re.DOTALL)
#: the tag of a sequence with a length in two bytes, with which every certificate and key in DER form begins
_DER: Final = (b"\x30\x82", b"\x30\x81")
_TRADITIONAL_ENCRYPTION: Final = "Proc-Type: 4,ENCRYPTED"


def pem_blocks(data: bytes, kind: str) -> list[str]:
    """Return the blocks of a kind, without what is between them, each line ended by a line feed.

    Args:
        data: the content of a file.
        kind: such as ``CERTIFICATE`` or ``PRIVATE KEY``; a block's name ends with it (``RSA PRIVATE KEY``).
    """
    found = []
    for match in _BLOCK.finditer(_text(data)):
        name, lines = match[1], [line.strip() for line in match[2].splitlines()]
        if name == kind or (name.endswith(f" {kind}") and name != ENCRYPTED_KEY):
            found.append("\n".join([f"-----BEGIN {name}-----", *lines, f"-----END {name}-----", ""]))
    return found


def is_encrypted(data: bytes) -> bool:
    """Return whether a file holds a private key that needs a password."""
    return bool(pem_blocks(data, ENCRYPTED_KEY)) or any(
        _TRADITIONAL_ENCRYPTION in block for block in pem_blocks(data, PRIVATE_KEY)
    )


def is_der(data: bytes) -> bool:
    """Return whether the content of a file looks like DER, the binary form of certificates and keys."""
    return data.startswith(_DER)


def decode_certificate(block: str) -> Mapping[str, Any]:
    """Return the parts of a certificate as ``ssl.SSLSocket.getpeercert`` does; ``ssl.SSLError`` if it is damaged."""
    # the only reader of certificates in the standard library, and it takes a file
    decode: Any = ssl._ssl._test_decode_cert  # type: ignore[attr-defined]  # noqa: SLF001
    with tempfile.NamedTemporaryFile("w", encoding="ascii", suffix=".pem") as file:
        file.write(block)
        file.flush()
        found: Mapping[str, Any] = decode(file.name)
    return found


def _text(data: bytes) -> str:
    for mark, encoding in ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    # whatever is not ASCII is a comment
    return data.decode("latin-1")
