"""Where blocks start in protobuf text format; protobuf's parser keeps no positions."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[A-Za-z_][\w.]*|[{}<>]""")


def block_lines(text: str, path: tuple[str, ...]) -> list[int]:
    """Return the line (from 1) at which each message block at ``path`` starts, in order of appearance."""
    lines: list[int] = []
    stack: list[str] = []
    name, named_at, position, where = "", 0, 0, 1
    for token in _TOKEN.finditer(text):
        where += text.count("\n", position, token.start())
        position = token.start()
        word = token.group()
        if word in "{<":
            stack.append(name)
            if tuple(stack) == path:
                lines.append(named_at or where)
        elif word in "}>" and stack:
            # In a list, ``config: [{...}, {...}]``, the next block has no name of its own.
            name, named_at = stack.pop(), 0
        elif word[0].isalpha() or word[0] == "_":
            name, named_at = word, where
    return lines
