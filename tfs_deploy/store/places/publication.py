# SPDX-License-Identifier: Apache-2.0
"""A publication: the document that makes a version of a store visible, with the sum of every file. Pure.

It is put last and only if there is none of that number, so a version is there complete or not at all.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from tfs_deploy import __version__
from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.savedmodel.formats.checked_json import require_unchanged, with_checksum
from tfs_deploy.savedmodel.manifest import FileEntry
from tfs_deploy.text import parse_document

KIND: Final = "tfs-deploy publication"
#: raised when the document changes in a way that older readers would misread
FORMAT: Final = 1
#: hex digits of the folder's digest in its name
_DIGITS: Final = 16
_HEX: Final = frozenset("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Publication:
    """A version that is published: its number, identity, files (by POSIX path) and the folder of their objects.

    ``digest`` is that of ``store.identity``, empty (as the sums are) where a place knows it only of what was fetched;
    ``token`` tells this attempt to publish from every other.
    """

    number: int
    digest: str
    digest_of: str
    folder: str
    files: Mapping[str, FileEntry]
    publisher: str
    published_at: str
    token: str
    tfs_deploy_version: str = field(default=__version__)

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes of all files."""
        return sum(entry.size for entry in self.files.values())

    @property
    def sums(self) -> dict[str, str]:
        """The sha256 (hex) of each file, by its path."""
        return {name: entry.sha256 for name, entry in self.files.items()}

    @property
    def by(self) -> str:
        """Who published it, and when, as an error says it."""
        return f"{self.publisher} at {self.published_at}"

    def to_json(self) -> bytes:
        """Return the document, in a stable order, with a checksum."""
        document = {
            "kind": KIND,
            "format": FORMAT,
            "number": self.number,
            "digest": self.digest,
            "digest_of": self.digest_of,
            "folder": self.folder,
            "files": {name: {"sha256": entry.sha256, "size": entry.size} for name, entry in sorted(self.files.items())},
            "publisher": self.publisher,
            "published_at": self.published_at,
            "token": self.token,
            "tfs_deploy_version": self.tfs_deploy_version,
        }
        return (json.dumps(with_checksum(document), indent=1, ensure_ascii=False) + "\n").encode()


def folder_name(number: int, files: Mapping[str, FileEntry]) -> str:
    """Return the name of the folder of exactly these files under this number.

    It depends on every byte, so two publishers of one number never write the same object with different content, and
    an object that is there already with the right size is the right one.
    """
    lines = "".join(f"{entry.sha256} {name}\n" for name, entry in sorted(files.items()))
    return f"{number}-{hashlib.sha256(lines.encode()).hexdigest()[:_DIGITS]}"


def missing_version(place: object, number: int, there: Iterable[int]) -> ModelError:
    """Return the error of a place that has other versions only: ``there``."""
    return ModelError(
        f"{place} has no version {number}", hint=f"versions there: {', '.join(map(str, there)) or 'none'}"
    )


def require_number(publication: Publication, number: int, place: object) -> None:
    """Raise ``ModelError`` for a publication that was found under another number than its own."""
    if publication.number != number:
        raise ModelError(f"the publication of version {number} in {place} is about {publication.number}")


def number_of_folder(name: str) -> int | None:
    """Return the number in the name of a folder of files, ``None`` if it is not such a name."""
    number, dash, digest = name.partition("-")
    return int(number) if dash and number.isdigit() and len(digest) == _DIGITS and _HEX.issuperset(digest) else None


def read_publication(data: bytes, where: str) -> Publication:
    """Return the publication in a document; ``ModelError`` names ``where`` and what is wrong with it."""
    try:
        return _from_document(parse_document(data))
    except (ArithmeticError, ValueError, KeyError, TypeError, AttributeError, RecursionError, UsageError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        hint = "it was changed by another program: publish the version again under a new number"
        raise ModelError(f"{where} is not a valid publication: {what}", hint=hint) from error


def _from_document(document: Any) -> Publication:
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise ValueError("it is another kind of document")
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']!r} is unknown to this version of tfs-deploy")
    require_unchanged(document)
    files = {check_name(name): _entry(entry) for name, entry in document["files"].items()}
    for name in files:
        for folder in PurePosixPath(name).parents:
            if folder.as_posix() in files:
                raise ValueError(f"{folder.as_posix()!r} is both a file and a folder")
    number, folder = document["number"], document["folder"]
    if type(number) is not int or not 0 <= number < 2**63:
        raise ValueError(f"{number!r} is not a valid version")
    if folder != folder_name(number, files):
        raise ValueError("its folder is not the one of its files")
    texts = {key: document[key] for key in ("digest", "digest_of", "publisher", "published_at", "token")}
    for key, text in texts.items():
        if not isinstance(text, str):
            raise TypeError(f"{key} is not text")
    made_by = str(document.get("tfs_deploy_version", ""))
    return Publication(number=number, folder=folder, files=files, tfs_deploy_version=made_by, **texts)


def _entry(entry: Any) -> FileEntry:
    sha256, size = entry["sha256"], entry["size"]
    if not isinstance(sha256, str) or len(sha256) != 64 or not _HEX.issuperset(sha256):
        raise ValueError(f"{sha256!r} is not a valid sha256")
    if type(size) is not int or size < 0:
        raise ValueError(f"{size!r} is not a valid size")
    return FileEntry(sha256, size)


def check_name(name: object) -> str:
    """Return the path of a file below its version; ``UsageError`` if no store can hold it, or it leads elsewhere."""
    if not isinstance(name, str) or not name:
        raise UsageError(f"{name!r} is not a valid name of a file")
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or "\\" in name:
        raise UsageError(f"{name!r} is not a path below the version", hint="rename the file")
    if any(letter < " " or letter == "\x7f" or "\ud800" <= letter <= "\udfff" for letter in name):
        hint = "rename the file: object stores take names in UTF-8 without control characters"
        raise UsageError(f"{name!r} is not a name that an object store can hold", hint=hint)
    if any(len(part.encode()) > 255 for part in parts) or len(name.encode()) > 700:
        raise UsageError(f"the name {name[:40]!r}... is too long for an object store", hint="rename the file")
    return name
