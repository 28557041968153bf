# SPDX-License-Identifier: Apache-2.0
"""Read protobuf text format, with the lines of mistakes and those where blocks start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.errors import Problem, SpecError, UsageError
from tfs_deploy.text import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: comments, texts, names of fields, and what opens and closes a message
_TOKEN: Final = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|[A-Za-z_]\w*(?=\s*[:{<])|[{}<>]""")


def field_lines(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the path of each field and the line (from 1) where its name stands, in order of appearance.

    In a list, ``config: [{...}, {...}]``, every message counts as a field; the later ones stand where they open.
    """
    stack: list[str] = []
    name, named, position, line = "", False, 0, 1
    for token in _TOKEN.finditer(text):
        line += text.count("\n", position, token.start())
        position = token.start()
        word = token.group()
        if word in "{<":
            if not named:
                yield (*stack, name), line
            stack.append(name)
            named = False
        elif word in "}>" and stack:
            name, named = stack.pop(), False
        elif word[0].isalpha() or word[0] == "_":
            name, named = word, True
            yield (*stack, name), line


def parse_message(text: str, message: Any, *, source: str) -> Any:
    """Read text format into ``message``; ``SpecError`` with ``source`` and the line if it is not valid."""
    from google.protobuf.text_format import ParseError

    if text.startswith("\ufeff"):
        said = "begins with a byte order mark, which the server does not read: save it as UTF-8 without one"
        raise SpecError([Problem(source, 1, "", said)])
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
