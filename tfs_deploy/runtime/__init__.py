# SPDX-License-Identifier: Apache-2.0
"""A SavedModel inside a Python process: one engine, and ``LocalModel`` on top of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.lazy import lazy_names

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

__getattr__, __dir__ = lazy_names(__name__, _HOME, __all__)
