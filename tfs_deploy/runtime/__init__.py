# SPDX-License-Identifier: Apache-2.0
"""A SavedModel inside a Python process: one engine, and ``LocalModel`` on top of it."""

from __future__ import annotations

from tfs_deploy.runtime.engine import Engine
from tfs_deploy.runtime.local_model import LocalModel, load_model

__all__ = ["Engine", "LocalModel", "load_model"]
