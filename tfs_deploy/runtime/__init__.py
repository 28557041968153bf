# SPDX-License-Identifier: Apache-2.0
"""A SavedModel inside a Python process: one engine, and ``LocalModel`` on top of it."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfs_deploy.runtime.engine import Engine
    from tfs_deploy.runtime.local_model import LocalModel, load_model

__all__ = ["Engine", "LocalModel", "load_model"]

#: public name -> its module, imported with it: ``library`` is used where no NumPy is needed
_HOME = {
    "Engine": "tfs_deploy.runtime.engine",
    "LocalModel": "tfs_deploy.runtime.local_model",
    "load_model": "tfs_deploy.runtime.local_model",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
