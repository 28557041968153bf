# SPDX-License-Identifier: Apache-2.0
"""Which libraries there are, and which models the short form tries."""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING

from zoo import models

if TYPE_CHECKING:
    from zoo.specimen import Library


def libraries() -> dict[str, Library]:
    """Return every library by the name of its module."""
    names = sorted(module.name for module in pkgutil.iter_modules(models.__path__))
    return {name: importlib.import_module(f"zoo.models.{name}").LIBRARY for name in names}
