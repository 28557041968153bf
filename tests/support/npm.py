# SPDX-License-Identifier: Apache-2.0
"""Programs of npm, pinned by a package-lock.json, installed once into a folder outside the tree."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

PINNED = ("package.json", "package-lock.json")


class NotInstalledError(Exception):
    """There is no Node, or npm could not install the package."""


def installed(pinned_by: Path, name: str, cache: str) -> Path:
    """Return the folder with the packages that the files of a folder pin.

    Args:
        pinned_by: holds package.json and package-lock.json.
        name: of the folder below ``~/.cache``.
        cache: a variable that names another place than ``~/.cache``.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise NotInstalledError(f"the {program} command is not installed")
    pins = b"".join((pinned_by / each).read_bytes() for each in PINNED)
    root = os.environ.get(cache) or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    folder = Path(root).expanduser() / name / hashlib.sha256(pins).hexdigest()[:12]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = Path(tempfile.mkdtemp(prefix=".staged-", dir=folder.parent))
    for each in PINNED:
        shutil.copy(pinned_by / each, staged)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    result = subprocess.run(command, cwd=staged, capture_output=True, text=True, timeout=300)
    if result.returncode:
        shutil.rmtree(staged)
        raise NotInstalledError(f"npm ci: {result.stderr.strip()[-300:]}")
    try:
        staged.rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(staged)
    return folder
