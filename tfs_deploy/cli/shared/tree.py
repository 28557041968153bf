# SPDX-License-Identifier: Apache-2.0
"""Trees of text, as ``inspect`` and ``diff`` print them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfs_deploy.text import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@dataclass(slots=True)
class Tree:
    """A line of text with lines below it."""

    label: str
    children: list[Tree] = field(default_factory=list)

    def add(self, label: str, children: Iterable[str] = ()) -> Tree:
        """Add a line (with plain lines below it) and return it."""
        child = Tree(label, [Tree(text) for text in children])
        self.children.append(child)
        return child

    def lines(self) -> Iterator[str]:
        """Yield the lines, with the branches drawn; a label is one, whatever names are in it."""
        yield self.label.replace("\n", "\\n")
        for child in self.children:
            last = child is self.children[-1]
            first, *rest = child.lines()
            yield ("└── " if last else "├── ") + first
            yield from (("    " if last else "│   ") + line for line in rest)

    def __str__(self) -> str:
        return "\n".join(self.lines())


def printable(value: Any) -> Any:
    """Return a document without control characters: names in a model may hold escape sequences for the terminal."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {printable(key): printable(entry) for key, entry in value.items()}
    return [printable(entry) for entry in value] if isinstance(value, list) else value
