# SPDX-License-Identifier: Apache-2.0
"""Lines of JSON that show when they were changed, cut out or reordered after they were written.

A sealed line is its entry's keys and four more: ``format``, ``length`` and ``crc32c`` of the entry's own JSON, and
``previous``, the SHA-256 of all lines before it. It is written in one way only (sorted keys, no other white space), so
a line that is not what sealing its entry gives has been changed. What is behind the last line feed is a line that
was being written when the process or the machine stopped: the only damage that is repaired, by leaving it out.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.savedmodel.formats.crc32c import checksum
from tfs_deploy.state.json_files import FORMAT, require_known
from tfs_deploy.text import parse_document

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 2
_SEAL: Final = (FORMAT, "length", "crc32c", "previous")
#: ``previous`` of the first line
START: Final = hashlib.sha256(b"").hexdigest()


class DamagedLineError(ValueError):
    """A line is not as it was written; the message says which and what is wrong."""


@dataclass(frozen=True, slots=True)
class Lines:
    """The whole lines of a file: their documents, the ``previous`` of the next line, and the bytes they take."""

    documents: list[Any]
    chain: str
    size: int


def seal(entry: Mapping[str, Any], previous: str) -> bytes:
    """Return the line of an entry that follows the lines whose hash is ``previous``."""
    content = _dump(entry)
    sealed = {FORMAT: VERSION, "length": len(content), "crc32c": checksum(content), "previous": previous}
    return _dump({**entry, **sealed}) + b"\n"


def follow(previous: str, line: bytes) -> str:
    """Return what the line after ``line`` names as ``previous``."""
    return hashlib.sha256(previous.encode() + line).hexdigest()


def read_lines(data: bytes, subject: str) -> Lines:
    """Return the whole lines of a file, entries of format 1 without a seal as well.

    Args:
        data: the file.
        subject: the file in messages.

    Raises:
        EnvironmentFault: an entry is of a later format.
        DamagedLineError: a line was changed, is missing or has another place than the one it was written at.
    """
    *whole, rest = data.split(b"\n")
    documents: list[Any] = []
    chain = START
    sealed = False
    for number, line in enumerate(whole, 1):
        document = _parse(line, number)
        require_known(document, VERSION, subject)
        sealed = sealed or FORMAT in document
        if sealed:
            _check(document, line, chain, number)
        documents.append(document)
        chain = follow(chain, line + b"\n")
    if rest and _is_whole(rest[:-1], chain):
        raise DamagedLineError(f"the end of line {len(whole) + 1} was changed")
    return Lines([_without_seal(document) for document in documents], chain, len(data) - len(rest))


def _dump(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True, default=str).encode()


def _parse(line: bytes, number: int) -> dict[str, Any]:
    try:
        document = parse_document(line)
    except (ValueError, RecursionError):
        raise DamagedLineError(f"line {number} is not JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get(FORMAT, 1), int):
        raise DamagedLineError(f"line {number} is not an entry")
    return document


def _check(document: dict[str, Any], line: bytes, chain: str, number: int) -> None:
    if document.get("previous") != chain:
        raise DamagedLineError(f"line {number} does not follow the lines before it")
    if seal(_without_seal(document), chain) != line + b"\n":
        raise DamagedLineError(f"line {number} was changed after it was written")


def _is_whole(line: bytes, chain: str) -> bool:
    try:
        document = _parse(line, 0)
        _check(document, line, chain, 0)
    except DamagedLineError:
        return False
    return True


def _without_seal(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in _SEAL}
