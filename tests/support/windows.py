# SPDX-License-Identifier: Apache-2.0
"""Windows as the package's own modules would see it: the standard library without what only other systems have.

Which names and modules these are is read from typeshed. Other packages, which have wheels for Windows, and the standard
library itself keep everything, so that they work here.
"""

from __future__ import annotations

import ast
import builtins
import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

_OWN = "tfs_deploy"


def pretend_windows() -> None:
    """Let the package's modules find no name and no module that Windows lacks from now on, and tell it as platform."""
    assert not any(name.partition(".")[0] == _OWN for name in sys.modules)
    genuine = builtins.__import__

    def restricted(name: str, importer: Any = None, *rest: Any, **named: Any) -> ModuleType:
        by = str((importer or {}).get("__name__", "")).partition(".")[0]
        own = by == _OWN and name.partition(".")[0] in sys.stdlib_module_names
        if own:
            _refuse_missing(name)
        module = genuine(name, importer, *rest, **named)
        if not own:
            return module
        return _seen_from_windows(module) if lacking(module.__name__) or module is sys else module

    builtins.__import__ = restricted


class _Restricted(ModuleType):
    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.__name__)
        self.__dict__["_genuine"] = module

    def __getattr__(self, name: str) -> Any:
        if name in lacking(self.__name__):
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} on Windows")
        told = {("sys", "platform"): "win32", ("os", "name"): "nt"}
        return told.get((self.__name__, name)) or getattr(self.__dict__["_genuine"], name)


@functools.cache
def _seen_from_windows(module: ModuleType) -> ModuleType:
    return _Restricted(module)


def _refuse_missing(name: str) -> None:
    if lacking(name) and all(each.startswith("_") for each in _names(name, "win32")):
        raise ModuleNotFoundError(f"No module named {name!r} on Windows", name=name)


@functools.cache
def lacking(name: str) -> frozenset[str]:
    """Return the names of a module of the standard library that Linux has and Windows has not."""
    return _names(name, "linux") - _names(name, "win32")


@functools.cache
def _names(name: str, platform: str) -> frozenset[str]:
    spec = importlib.util.find_spec("mypy")
    assert spec is not None
    assert spec.origin is not None
    place = Path(spec.origin).parent.joinpath("typeshed", "stdlib", *name.split("."))
    stub = next((path for path in (place / "__init__.pyi", place.with_suffix(".pyi")) if path.exists()), None)
    if stub is None:
        return frozenset()
    system = SimpleNamespace(platform=platform, version_info=sys.version_info)
    return frozenset(_defined(ast.parse(stub.read_text(encoding="utf-8")).body, system))


def _defined(body: list[ast.stmt], system: SimpleNamespace) -> set[str]:
    found: set[str] = set()
    for statement in body:
        if isinstance(statement, ast.If):
            test = eval(compile(ast.Expression(statement.test), "stub", "eval"), {"sys": system, "TYPE_CHECKING": True})
            found |= _defined(statement.body if test else statement.orelse, system)
        elif isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
            found.add(statement.name)
        elif isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            found.add(statement.target.id)
        elif isinstance(statement, ast.Assign):
            found |= {target.id for target in statement.targets if isinstance(target, ast.Name)}
        elif isinstance(statement, ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in statement.names}
    return found
