"""Where blocks start in protobuf text format; protobuf's parser keeps no positions."""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[A-Za-z_][\w.]*|[{}<>]""")


def block_lines(text: str, path: tuple[str, ...]) -> list[int]:
    """Return the line (from 1) at which each message block at ``path`` starts, in order of appearance."""
    lines: list[int] = []
    stack: list[str] = []
    name, line, position, where = "", 1, 0, 1
    for token in _TOKEN.finditer(text):
        where += text.count("\n", position, token.start())
        position = token.start()
        word = token.group()
        if word in "{<":
            stack.append(name)
            if tuple(stack) == path:
                lines.append(line)
        elif word in "}>":
            if stack:
                stack.pop()
        elif word[0] not in "#\"'":
            name, line = word, where
    return lines
