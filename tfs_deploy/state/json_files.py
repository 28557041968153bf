# SPDX-License-Identifier: Apache-2.0
"""JSON files of the state directory: replaced whole, read with one wording for whatever is wrong with them.

A file of format 1 does not say so: version 1 is what every file without the key ``format`` has, so that files of
earlier releases are read, and earlier releases read what is written now. A file of a later format names it; a release
that does not know that format refuses the file instead of guessing what it means. A file carries a checksum of its
content; those of earlier releases, without one, are read as well.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

from tfs_deploy.atomic import write_atomic
from tfs_deploy.errors import EnvironmentFault, UsageError, file_hint
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.savedmodel.formats.checked_json import require_unchanged, with_checksum
from tfs_deploy.text import DISTRIBUTION, parse_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

T = TypeVar("T")
#: the key that names a format later than 1
FORMAT: Final = "format"
_WRONG: Final = (ArithmeticError, AttributeError, KeyError, RecursionError, TypeError, ValueError, UsageError)


def read_json(path: Path, parse: Callable[[Any], T], *, known: int, hint: str, subject: str = "") -> T | None:
    """Return what ``parse`` makes of a file's document, None if there is no such file.

    Args:
        path: the file.
        parse: turns the document into values; a document it stumbles over is damaged.
        known: the latest format that ``parse`` understands.
        hint: what to do with a damaged file.
        subject: the file in messages, by default its path.

    Raises:
        EnvironmentFault: the file cannot be read, is damaged, or has a later format.
    """
    subject = subject or str(path)
    try:
        document = parse_document(read_regular(path).decode())
        require_known(document, known, subject)
        require_unchanged(document)
        return parse(document)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise unreadable(subject, error) from error
    except _WRONG as error:
        raise EnvironmentFault(f"{subject} is damaged: {reason(error)}", hint=hint) from error


def write_json(
    path: Path, document: Mapping[str, Any], *, version: int, indent: int | None = None, sort_keys: bool = False
) -> None:
    """Replace a file in one step, with a checksum; raises ``EnvironmentFault`` with the old one untouched."""
    write_atomic(path, json.dumps(with_checksum(stamped(document, version)), indent=indent, sort_keys=sort_keys) + "\n")


def stamped(document: Mapping[str, Any], version: int) -> Mapping[str, Any]:
    """Return a document with the format that it is written in, which format 1 leaves out."""
    return {**document, FORMAT: version} if version > 1 else document


def require_known(document: Any, known: int, subject: str) -> None:
    """Raise ``EnvironmentFault`` if a document is of a later format than ``known``."""
    found = document.get(FORMAT, 1) if isinstance(document, dict) else 1
    if isinstance(found, int) and found > known:
        message = f"{subject} has format {found}, written by a later release of tfs-deploy (this one knows {known})"
        raise EnvironmentFault(message, hint=f"use that release, or a later one: pip install --upgrade {DISTRIBUTION}")


def is_damage(error: EnvironmentFault) -> bool:
    """Tell whether the content of a file is beyond repair: neither a disk that fails nor a later format."""
    return isinstance(error.__cause__, _WRONG)


def unreadable(subject: str, error: OSError) -> EnvironmentFault:
    """Return the error for a file that the system does not let us read."""
    return EnvironmentFault(f"{subject} cannot be read: {error.strerror or error}", hint=file_hint(error))


def reason(error: Exception) -> str:
    """Return what is wrong with a document, as a sentence's end."""
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
