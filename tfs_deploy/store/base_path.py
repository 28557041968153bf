# SPDX-License-Identifier: Apache-2.0
"""Check the base path and number of a new version before anything is written."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from tfs_deploy.deployment.address import is_remote
from tfs_deploy.deployment.mlflow_address import is_mlflow
from tfs_deploy.errors import UsageError
from tfs_deploy.savedmodel.versions import version_number

_INT64_MAX: Final = 2**63 - 1


def check_base_path(base_path: str | os.PathLike[str]) -> Path:
    """Return the base path as an absolute path; ``UsageError`` if no version may be written there."""
    text = os.fspath(base_path)
    if not isinstance(text, str) or not text or "\0" in text:
        raise UsageError(
            f"{text!r} is not a valid base path", hint="give the directory that holds the numbered versions"
        )
    if is_remote(text):
        hint = "use a local directory here"
        if not is_mlflow(text):
            hint += f"; tfs-deploy publish MODEL_DIR --to {text} puts a version into a store"
        raise UsageError(f"base path {text} is not a local directory", hint=hint)
    parts = Path(text).parts
    leading = next((position for position, part in enumerate(parts) if part != ".."), len(parts))
    if ".." in parts[leading:] or leading == len(parts) > 0:
        raise UsageError(f"base path {text} leaves a directory with '..'", hint="write the path without '..'")
    base = Path(text).expanduser().absolute()
    if version_number(base.name) is not None:
        raise UsageError(
            f"base path {text} ends in {base.name!r}, which a server would take for a version",
            hint=f"give {base.parent} as base path and {base.name} as version",
        )
    for folder in (base, *base.parents):
        there = _is_directory(folder)
        if there:
            return base
        if there is False:
            what = "base path" if folder == base else f"{folder}, part of base path"
            raise UsageError(f"{what} {base} is not a directory", hint="give the directory that holds the versions")
    return base


def _is_directory(path: Path) -> bool | None:
    """Tell whether a path is a directory, ``None`` if it does not exist; looks once, as it may appear meanwhile."""
    try:
        return stat.S_ISDIR(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False if path.is_symlink() else None
    except OSError as error:
        raise UsageError(f"{path} cannot be accessed: {error.strerror}", hint="check its permissions") from error


def check_version(version: object) -> int | str | None:
    """Return a valid version: ``None`` (the next), ``"timestamp"`` or a number from 0 to 2**63 - 1."""
    if version is None or version == "timestamp":
        return version
    if isinstance(version, bool) or not hasattr(version, "__index__"):
        raise UsageError(
            f"{version!r} is not a valid version", hint="give a number, 'timestamp', or nothing for the next number"
        )
    number: int = version.__index__()
    if not 0 <= number <= _INT64_MAX:
        raise UsageError(f"version {number} is out of range", hint="versions are numbers from 0 to 2**63 - 1")
    return number
