# SPDX-License-Identifier: Apache-2.0
"""The libraries that the development environment lacks: each in a folder of its own, outside the tree, made once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

REQUIREMENTS = Path(__file__).with_name("requirements.txt")


class NotInstalledError(Exception):
    """A package cannot be had here, for example without a network."""


def cache() -> Path:
    """Return the folder of all packages, for this Python."""
    root = (
        os.environ.get("TFS_DEPLOY_ZOO_CACHE")
        or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "tfs-deploy-zoo"
    )
    return Path(root).expanduser() / f"{sys.implementation.cache_tag}"


def pinned() -> dict[str, str]:
    """Return each line of requirements.txt by its package's name."""
    lines = (line.partition("#")[0].strip() for line in REQUIREMENTS.read_text().splitlines())
    return {line.partition("==")[0]: line for line in lines if line}


def folder_of(package: str) -> Path:
    """Return the folder that holds a package, and install it there first if nothing did so far.

    Without its dependencies: those that the zoo needs are pinned too, and TensorFlow stays the one of the environment.

    Raises:
        NotInstalledError: pip could not; its last lines are the text.
    """
    requirement = pinned()[package]
    folder = cache() / requirement
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    staged = tempfile.mkdtemp(prefix=f".{package}-", dir=folder.parent)
    command = [sys.executable, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "-q", "--no-deps"]
    result = subprocess.run([*command, "--target", staged, requirement], capture_output=True, text=True)
    if result.returncode:
        shutil.rmtree(staged)
        raise NotInstalledError(f"{requirement}: {result.stderr.strip()[-300:]}")
    try:
        Path(staged).rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(staged)
    return folder
