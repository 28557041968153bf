# SPDX-License-Identifier: Apache-2.0
"""The messages of the project's errors with their hints, read out of the source, for docs/reference/errors.md."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "tfs_deploy"
#: what a reader was doing, by package
PARTS = {
    "cli": "Commands",
    "deployment": "The deployment file",
    "config": "The server's config",
    "launch": "Starting and changing servers",
    "rollout": "Rollouts",
    "verify": "Verify",
    "smoke": "Smoke",
    "export": "Export",
    "store": "Versions on the disk",
    "savedmodel": "Reading a SavedModel",
    "runtime": "Models in a Python module",
    "client": "Calls",
    "codec": "Requests and replies",
    "server": "The embedded server",
    "state": "The state directory",
    "report": "Reports",
}
OTHER = "Everything else"


@dataclass(frozen=True, order=True)
class Message:
    """A message and its hint as the source has them: ``NAME`` stands for what is filled in."""

    text: str
    hint: str
    error: str
    package: str


def messages(root: Path = ROOT) -> list[Message]:
    """Return every message that is raised with a hint, where both are written as one text in the source."""
    found = set()
    for file in sorted(root.rglob("*.py")):
        package = file.relative_to(root).parts[0].removesuffix(".py")
        text = file.read_text(encoding="utf-8")
        if "hint=" in text:
            for scope in functions(ast.parse(text)):
                found |= {Message(*row, package) for row in raised(scope)}
    return sorted(found)


def functions(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the functions of a module and the methods of its classes; those inside them are part of them."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
        elif isinstance(child, ast.ClassDef | ast.If):
            yield from functions(child)


def raised(function: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Yield text, hint and error of what a function makes; a name stands for what is assigned to it there."""
    assigned = defaultdict(list)
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            assigned[node.targets[0].id].append(node.value)
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
            hint = next((word.value for word in node.keywords if word.arg == "hint"), None)
            if re.search(r"(Error|Fault)$", node.func.id) and hint is not None:
                for text in texts(node.args[0], assigned):
                    yield from ((text, advice, node.func.id) for advice in texts(hint, assigned))


def texts(node: ast.expr, assigned: Mapping[str, list[ast.expr]]) -> Iterator[str]:
    """Yield what a literal, an f-string, or either branch of a choice between them says."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.Name):
        for value in assigned.get(node.id, []):
            yield from texts(value, {})
    elif isinstance(node, ast.IfExp):
        yield from texts(node.body, assigned)
        yield from texts(node.orelse, assigned)
    elif isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else placeholder(part) for part in node.values]
        if any(re.search(r"[a-z]{3}", str(part)) for part in parts):
            yield "".join(str(part) for part in parts)


def placeholder(part: ast.expr) -> str:
    """Return a word for what an f-string fills in: the last name in it."""
    names = [
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(part)
        if isinstance(node, ast.Attribute | ast.Name)
    ]
    return re.sub(r"\W", "", names[0]).strip("_").upper() or "VALUE" if names else "VALUE"


def as_markdown(found: list[Message]) -> str:
    """Return the messages as tables, by what the reader was doing."""
    parts = defaultdict(list)
    for message in found:
        parts[PARTS.get(message.package, OTHER)].append(message)
    lines = []
    for title in [*PARTS.values(), OTHER]:
        if parts[title]:
            lines += [f"### {title}", "", "| Message | What to do | Error |", "| --- | --- | --- |"]
            lines += [f"| {cell(m.text)} | {cell(m.hint)} | `{m.error}` |" for m in parts[title]]
            lines.append("")
    return "\n".join(lines)


def cell(text: str) -> str:
    """Return a text as a cell of a table: nothing in it is Markdown."""
    return re.sub(r"([\\`*_\[\]<>|{}~])", r"\\\1", " ".join(text.split()))
