# SPDX-License-Identifier: Apache-2.0
"""Optional dependencies: imported on use, and named together with the extra that installs them."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

from tfs_deploy.errors import MissingExtraError


def import_extra(module: str, extra: str) -> Any:
    """Import ``module``; raise ``MissingExtraError`` with the ``pip install`` line if its package is not installed."""
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        missing = error.name or module
        if missing.partition(".")[0] == "tfs_deploy":
            raise
        raise MissingExtraError(missing, extra) from error


def require_extra(module: str, extra: str) -> None:
    """Raise ``MissingExtraError`` if a top-level package is not installed, without importing it."""
    if importlib.util.find_spec(module) is None:
        raise MissingExtraError(module, extra)
