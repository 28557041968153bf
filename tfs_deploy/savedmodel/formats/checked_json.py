# SPDX-License-Identifier: Apache-2.0
"""JSON documents with a checksum of their own content, which shows damage (not forgery: anyone can compute another)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.savedmodel.formats.crc32c import checksum

if TYPE_CHECKING:
    from collections.abc import Mapping

#: the key that holds the CRC-32C of the rest; documents of earlier releases have none
CHECKSUM: Final = "crc32c"


def with_checksum(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a document with its checksum."""
    return {**document, CHECKSUM: _checksum(json.loads(json.dumps(document)))}


def require_unchanged(document: Any) -> None:
    """Raise ``ValueError`` if a document has a checksum and was changed after it was written."""
    if isinstance(document, dict) and document.get(CHECKSUM, "") not in ("", _checksum(document)):
        raise ValueError("it was changed after it was written")


def _checksum(document: Mapping[str, Any]) -> str:
    content = {key: value for key, value in document.items() if key != CHECKSUM}
    return checksum(json.dumps(content, sort_keys=True).encode())
