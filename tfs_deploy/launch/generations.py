"""The config directory of a deployment, one generation for each start of a server.

``config`` in the state directory is a link to the generation of the server that is in use. A server that is to replace
it reads a directory of its own, so that a failed replacement leaves nothing changed for the old one, which may be
started again at any moment.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Collection

_LINK: Final = "config"


def new_generation(state_dir: Path) -> Path:
    """Make and return the next empty generation; ``EnvironmentFault`` if it cannot be made."""
    taken = [int(path.suffix[1:]) for path in state_dir.glob(f"{_LINK}.*") if path.suffix[1:].isdigit()]
    path = state_dir / f"{_LINK}.{max(taken, default=0) + 1}"
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be made: {error.strerror}") from error
    return path


def use_generation(state_dir: Path, generation: Path) -> None:
    """Let ``config`` lead to a generation, in one step."""
    link, temporary = state_dir / _LINK, state_dir / f".{_LINK}.link"
    if generation == link or (link.is_symlink() and link.readlink() == Path(generation.name)):
        return
    try:
        if link.is_dir() and not link.is_symlink():
            link.replace(state_dir / f"{_LINK}.0")
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        temporary.symlink_to(generation.name)
        temporary.replace(link)
    except OSError as error:
        raise EnvironmentFault(f"{link} cannot be replaced: {error.strerror}") from error


def drop_generations(state_dir: Path, keep: Collection[Path]) -> None:
    """Remove every generation but those in use; one that cannot be removed is left for the next time."""
    kept = {Path(os.path.realpath(path)) for path in (*keep, state_dir / _LINK)}
    for path in state_dir.glob(f"{_LINK}.*"):
        if path.suffix[1:].isdigit() and Path(os.path.realpath(path)) not in kept:
            shutil.rmtree(path, ignore_errors=True)
