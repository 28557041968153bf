"""How long the last start of a deployment's server took (``last_start.json`` in the state directory)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from tfs_deploy.atomic import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

_FILE_NAME: Final = "last_start.json"


def write_last_start(state_dir: Path, seconds: float) -> None:
    """Write how long a start took, so that a plan can say how long the downtime of a replacement will be."""
    write_atomic(state_dir / _FILE_NAME, json.dumps({"seconds": round(seconds, 3)}) + "\n")


def read_last_start(state_dir: Path) -> float | None:
    """Return how many seconds the last start took, None if that is not known."""
    try:
        return float(json.loads((state_dir / _FILE_NAME).read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
