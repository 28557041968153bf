# SPDX-License-Identifier: Apache-2.0
"""Public names of a package that are imported on first use, so that importing the package costs next to nothing."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


def lazy_names(
    package: str, home: Mapping[str, str], names: Iterable[str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    ``home``: public name -> its module, ``MODULE:NAME`` where it has another name there; a module of the package is at
    home in itself. ``names``: all public names.
    """

    def load(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        place, _, own_name = home[name].partition(":")
        module = importlib.import_module(place)
        value = module if place == f"{package}.{name}" else getattr(module, own_name or name)
        vars(sys.modules[package])[name] = value
        return value

    return load, lambda: sorted(names)
