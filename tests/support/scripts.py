# SPDX-License-Identifier: Apache-2.0
"""Programs of the folder scripts as modules."""

from __future__ import annotations

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

FOLDER = Path(__file__).parents[2] / "scripts"


def script(name: str) -> ModuleType:
    """Import a program by its name, without running it."""
    loader = SourceFileLoader(f"scripts_{name}", str(FOLDER / name))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[loader.name] = module  # where dataclasses look for what their annotations name
    loader.exec_module(module)
    return module
