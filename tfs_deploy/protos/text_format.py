"""Read protobuf text format, with the lines of mistakes and those where blocks start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.errors import Problem, SpecError, UsageError
from tfs_deploy.text import one_line

if TYPE_CHECKING:
    from pathlib import Path

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


def parse_message(text: str, message: Any, *, source: str) -> Any:
    """Read text format into ``message``; ``SpecError`` with ``source`` and the line if it is not valid."""
    from google.protobuf.text_format import ParseError

    try:
        return protos.parse_text(text, message)
    except ParseError as error:
        # str() of the error starts with its own "line:column : "; the position is given apart
        words = str(error).partition(" : ")[2] if error.GetLine() else str(error)
        said = one_line(words) or f"not a text-format {message.DESCRIPTOR.name}"
        raise SpecError([Problem(source, error.GetLine() or 1, "", said)]) from None


def read_message(path: Path, message: Any) -> Any:
    """Read a text-format file into ``message``; ``UsageError`` if that fails, ``SpecError`` if it is not valid."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a text file: {error.reason}") from error
    return parse_message(text, message, source=str(path))
