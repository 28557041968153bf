# SPDX-License-Identifier: Apache-2.0
"""``last_start.json``: how long the last start of a server took, so that ``plan`` can say how long a gap will be.

``{"seconds": 4.2}``. Written by ``up`` under the deployment's lock; nothing depends on it, so a file that cannot be
read is as good as none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.state.json_files import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

NAME: Final = "last_start.json"
VERSION: Final = 1


def write_last_start(state_dir: Path, seconds: float) -> None:
    """Note how long a start took."""
    write_json(state_dir / NAME, {"seconds": round(seconds, 3)}, version=VERSION)


def read_last_start(state_dir: Path) -> float | None:
    """Return how long the last start took, None where that is unknown."""
    try:
        return read_json(state_dir / NAME, lambda document: float(document["seconds"]), known=VERSION, hint="delete it")
    except EnvironmentFault:
        return None
