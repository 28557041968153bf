# SPDX-License-Identifier: Apache-2.0
"""Version directories under a base path, by the server's own rules."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tfs_deploy.errors import ModelError, file_hint

#: what absl::SimpleAtoi takes for an integer: white space around it, a sign, leading zeros
_INTEGER: Final = re.compile(r"[ \t\n\v\f\r]*([+-]?)([0-9]+)[ \t\n\v\f\r]*", re.ASCII)
_INT64_MIN: Final = -(2**63)
_INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class VersionDir:
    """A child of a base path that the server takes for a version; it may be a file, as the server does not check."""

    number: int
    path: Path


def version_number(name: str) -> int | None:
    """Return the number that the server reads in a directory's name, ``None`` if it skips such a name.

    A name counts if ``absl::SimpleAtoi`` makes an int64 of it (file_system_storage_path_source.cc), so ``00000123``
    and ``-1`` do, ``5.tmp`` and ``v5`` do not.
    """
    match = _INTEGER.fullmatch(name)
    if match is None:
        return None
    sign, digits = match[1], match[2].lstrip("0") or "0"
    if len(digits) > 19:
        return None
    number = int(sign + digits)
    return number if _INT64_MIN <= number <= _INT64_MAX else None


def named_folder(path: str | Path) -> Path:
    """Return the absolute path whose last name a server would read as the version, and whose parent is the base path.

    A link counts by its own name, as the server lists names and follows links (``5 -> ../store/sha-abc`` is version
    5). Only a link whose name is not a number, such as ``current -> 5``, stands for what it points to.
    """
    here = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow links
    if version_number(here.name) is not None:
        return here
    target = here.resolve()
    return target if version_number(target.name) is not None else here


def list_versions(base_path: str | Path) -> list[VersionDir]:
    """Return the children that the server takes for versions, by number; ``ModelError`` if the folder is missing."""
    base = Path(base_path)
    try:
        with os.scandir(base) as entries:
            names = [entry.name for entry in entries]
    except FileNotFoundError:
        raise ModelError(
            f"base path {base} does not exist", hint="export a model there, or correct base_path"
        ) from None
    except NotADirectoryError:
        raise ModelError(
            f"base path {base} is a file, not a directory", hint="give the directory that holds the numbered versions"
        ) from None
    except OSError as error:
        raise ModelError(f"base path {base} cannot be read: {error.strerror}", hint=file_hint(error)) from error
    found = [(version_number(name), name) for name in sorted(names)]
    return sorted(VersionDir(number, base / name) for number, name in found if number is not None)


def next_version(base_path: str | Path) -> int:
    """Return the number after the highest one, 1 if there is none or no such directory yet."""
    base = Path(base_path)
    if not base.exists():
        return 1
    versions = list_versions(base)
    return max(versions[-1].number + 1, 1) if versions else 1


def latest_version(base_path: str | Path) -> VersionDir:
    """Return the version that the policy ``latest`` serves; ``ModelError`` if there is none."""
    versions = list_versions(base_path)
    if not versions:
        raise ModelError(
            f"base path {base_path} holds no version directory",
            hint="a version is a directory whose name is a number, such as 1",
        )
    return versions[-1]


def find_version(base_path: str | Path, number: int) -> VersionDir:
    """Return the version of that number, in the plain spelling if there are several; ``ModelError`` lists others."""
    versions = list_versions(base_path)
    same = [version for version in versions if version.number == number]
    if not same:
        there = ", ".join(str(version.number) for version in versions) or "none"
        raise ModelError(f"base path {base_path} has no version {number}", hint=f"versions there: {there}")
    return next((version for version in same if version.path.name == str(number)), same[0])
