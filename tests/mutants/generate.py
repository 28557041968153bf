# SPDX-License-Identifier: Apache-2.0
"""Mutants of a module by rules: another comparison, the other of and/or, a condition turned round, a number more, a
statement left out, None returned.
"""

from __future__ import annotations

import ast
import collections
import hashlib
from typing import TYPE_CHECKING

from mutant import Mutant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_COMPARISONS = {
    ast.Lt: ast.LtE(),
    ast.LtE: ast.Lt(),
    ast.Gt: ast.GtE(),
    ast.GtE: ast.Gt(),
    ast.Eq: ast.NotEq(),
    ast.NotEq: ast.Eq(),
    ast.Is: ast.IsNot(),
    ast.IsNot: ast.Is(),
    ast.In: ast.NotIn(),
    ast.NotIn: ast.In(),
}
_LONGEST_LINE = 100


def mutants_of(root: Path, file: str, tests: tuple[str, ...]) -> list[Mutant]:
    """Return every mutant of a file, in its order; a name says where and what, and is given once."""
    source = (root / file).read_text()
    data = source.encode()
    lines = source.splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    found: list[Mutant] = []
    seen: collections.Counter[str] = collections.Counter()
    for where, node, new in _changes(ast.parse(source), ""):
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        old = data[start:end].decode()
        first = lines[node.lineno - 1].strip()
        line = first if len(first) <= _LONGEST_LINE else first[:_LONGEST_LINE]
        name = f"{file.removeprefix('tfs_deploy/')} {where or 'module'}: {line} => {new}"
        seen[name] += 1
        if seen[name] > 1:
            name += f" ({seen[name]})"
        found.append(Mutant(name, file, old, new, tests, start))
    return found


def chosen(mutants: list[Mutant], count: int) -> list[Mutant]:
    """Return some of them: the same ones as long as their lines stay as they are, whatever changes beside them."""
    return sorted(mutants, key=lambda mutant: hashlib.sha256(mutant.name.encode()).digest())[:count]


def _changes(node: ast.AST, where: str) -> Iterator[tuple[str, ast.expr | ast.stmt, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr) or (isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test)):
            continue  # the places of what is in an f-string are known from Python 3.12 on
        inner = where
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{where}.{child.name}" if where else child.name
        if isinstance(child, (ast.expr, ast.stmt)):
            new = _changed(child)
            if new is not None:
                yield inner, child, new
        if isinstance(child, ast.If) and isinstance(child.test, (ast.Name, ast.Attribute, ast.Call)):
            yield inner, child.test, f"(not {ast.unparse(child.test)})"
        yield from _changes(_without_annotations(child), inner)


def _changed(node: ast.expr | ast.stmt) -> str | None:
    """Return what replaces a node in a mutant, or ``None`` if no rule applies to it."""
    new: ast.expr | None = None
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARISONS:
        new = ast.Compare(node.left, [_COMPARISONS[type(node.ops[0])], *node.ops[1:]], node.comparators)
    elif isinstance(node, ast.BoolOp):
        new = ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        new = node.operand
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        new = ast.Constant(not node.value)
    elif isinstance(node, ast.Constant) and isinstance(node.value, (int, float)):
        new = ast.Constant(node.value + 1)
    if new is not None:
        return f"({ast.unparse(new)})"
    if isinstance(node, ast.Return) and node.value is not None and not _is_nothing(node.value):
        return "return None"
    if isinstance(node, (ast.Raise, ast.AugAssign, ast.Continue)):
        return "pass"
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return "pass"
    return None


def _is_nothing(node: ast.expr) -> bool:
    """Tell whether callers take None for the same."""
    return isinstance(node, ast.Constant) and node.value in (None, False)


def _without_annotations(node: ast.AST) -> ast.AST:
    """Return a node without its annotations and decorators: what they say is not done when the module runs."""
    if isinstance(node, ast.ClassDef):
        return ast.Module(node.body, [])
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return ast.Module([*node.args.defaults, *(each for each in node.args.kw_defaults if each), *node.body], [])
    if isinstance(node, ast.AnnAssign):
        return ast.Module([node.value] if node.value else [], [])
    return node
