# SPDX-License-Identifier: Apache-2.0
"""Directories of one model each inside the state directory: a model's name may hold what a file's may not."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def model_dir(parent: Path, model: str) -> Path:
    """Return the directory of a model, whether it exists or not."""
    return parent / urllib.parse.quote(model, safe="")


def models_in(parent: Path) -> list[str]:
    """Return the models that have a directory in ``parent``, sorted; none if there is no ``parent``."""
    names = sorted(path.name for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
    return [urllib.parse.unquote(name) for name in names]
