# SPDX-License-Identifier: Apache-2.0
"""``config`` and ``config.N``: the files that a server reads, one generation for each start of a server.

``config`` is a link to the generation of the server that is in use. A server that is to replace it reads a directory of
its own, so that a failed replacement leaves nothing changed for the old one, which may be started again at any moment.
The names of the files in a generation, and their text, are those of ``config.files``. Generations are made and removed
under the deployment's lock.
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

NAME: Final = "config"
_TEMPORARY: Final = f".{NAME}.link"


def new_generation(state_dir: Path) -> Path:
    """Return the next generation, an empty directory; ``EnvironmentFault`` if it cannot be made."""
    taken = [int(path.suffix[1:]) for path in _generations(state_dir)]
    path = state_dir / f"{NAME}.{max(taken, default=0) + 1}"
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be made: {error.strerror}") from error
    return path


def use_generation(state_dir: Path, generation: Path) -> None:
    """Let ``config`` lead to a generation, in one step; a directory of that name becomes a generation itself."""
    link, temporary = state_dir / NAME, state_dir / _TEMPORARY
    if generation == link or (link.is_symlink() and link.readlink() == Path(generation.name)):
        return
    try:
        if link.is_dir() and not link.is_symlink():
            link.replace(state_dir / f"{NAME}.0")
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        temporary.symlink_to(generation.name)
        temporary.replace(link)
    except OSError as error:
        raise EnvironmentFault(f"{link} cannot be replaced: {error.strerror}") from error


def drop_generations(state_dir: Path, keep: Collection[Path]) -> None:
    """Remove every generation but those in use; one that cannot be removed is left for the next time."""
    kept = {Path(os.path.realpath(path)) for path in (*keep, state_dir / NAME)}
    for path in _generations(state_dir):
        if Path(os.path.realpath(path)) not in kept:
            shutil.rmtree(path, ignore_errors=True)


def _generations(state_dir: Path) -> list[Path]:
    return [path for path in state_dir.glob(f"{NAME}.*") if path.suffix[1:].isdigit()]
