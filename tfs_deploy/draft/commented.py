# SPDX-License-Identifier: Apache-2.0
"""The values of a deployment file as text, each key with what it means."""

from __future__ import annotations

import json
import re
import textwrap
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.deployment.file import write_yaml
from tfs_deploy.deployment.file.editor import SCHEMA_FILE
from tfs_deploy.text import one_line, visible

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Path = tuple[str, ...]

_WIDTH: Final = 100
_SENTENCE: Final = re.compile(r"(.+?\.)(?= [A-Z`]|$)", re.DOTALL)


def meanings() -> dict[Path, str]:
    """Return the first sentence about every key, out of the JSON Schema, by its path without list positions."""
    found: dict[Path, str] = {}

    def walk(node: Mapping[str, Any], path: Path) -> None:
        for key, inner in node.get("properties", {}).items():
            match = _SENTENCE.match(inner.get("description", ""))
            if match is not None:
                found[(*path, key)] = match[1]
            walk(inner, (*path, key))
        if "items" in node:
            walk(node["items"], path)

    walk(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")), ())
    return found


def commented_text(document: Mapping[str, Any], said: Mapping[Path, str], commands: Sequence[tuple[str, str]]) -> str:
    """Return the text of a deployment file, without the line for editors; texts with ``$`` are escaped already.

    ``said`` is what a key means, given once; ``commands`` are shown above all.
    """
    width = max((len(command) for command, _ in commands), default=0)
    head = ["# Further keys: tfs-deploy config --schema; editors complete and explain them by the line above.", "#"]
    # a path may hold a line break: what is behind it would be read as keys
    head += [f"#   {visible(one_line(command)).ljust(width)}  {visible(one_line(what))}" for command, what in commands]
    parts = ["\n".join(head)]
    told: set[Path] = set()
    for key, value in document.items():
        parts.append("\n".join(_key(key, value, (), said, told)))
    return "\n\n".join(parts) + "\n"


def _key(key: str, value: Any, around: Path, said: Mapping[Path, str], told: set[Path]) -> list[str]:
    """Return the lines of a key with its value; its comment comes first, once."""
    path = (*around, key)
    comment = "" if path in told else said.get(path, "")
    lines = textwrap.wrap(comment, _WIDTH, initial_indent="# ", subsequent_indent="# ")
    told.add(path)
    known = any(other[:-1] == path for other in said)
    if known and isinstance(value, dict) and value:
        return [*lines, f"{key}:", *_indented(_section(value, path, said, told))]
    if known and isinstance(value, list) and value:
        items = [_item([*_section(item, path, said, told), *_example(item, path, said, told)]) for item in value]
        between = [line for item in items[1:] for line in ("", *item)]
        return [*lines, f"{key}:", *_indented([*items[0], *between])]
    return [*lines, *write_yaml({key: value}, one_line=True).strip()[1:-1].splitlines()]


def _example(item: Any, around: Path, said: Mapping[Path, str], told: set[Path]) -> list[str]:
    """Return the key ``traffic`` of the first model with labels as a comment: all requests to one of its labels."""
    path = (*around, "traffic")
    if path in told or path not in said or "traffic" in item or not item.get("labels"):
        return []
    label = "stable" if "stable" in item["labels"] else min(item["labels"])
    lines = _key("traffic", {label: 100}, around, said, told)
    return [line if line.startswith("#") else f"# {line}" for line in lines]


def _section(values: Mapping[str, Any], path: Path, said: Mapping[Path, str], told: set[Path]) -> list[str]:
    return [line for key, value in values.items() for line in _key(key, value, path, said, told)]


def _item(lines: list[str]) -> list[str]:
    """Return the lines of a mapping as an item of a list: the dash before its first key, below that key's comment."""
    first = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    return [f"{'- ' if index == first else '  '}{line}" for index, line in enumerate(lines)]


def _indented(lines: list[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]
