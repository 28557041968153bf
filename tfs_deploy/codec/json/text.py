# SPDX-License-Identifier: Apache-2.0
"""JSON as the server's parser and printer have it, for requests that the fast parsers refuse and for error texts.

The server parses with RapidJSON (NaN and infinities allowed, UTF-8 not checked, anything after the first value
ignored) and quotes values in its errors. Text is ``str`` with undecodable bytes as surrogates (``surrogateescape``).
"""

from __future__ import annotations

import contextlib
import json
import math
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from tfs_deploy.codec.json.numbers import integer_or_float, to_double
from tfs_deploy.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable

_SPACE: Final = " \t\n\r"
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_PRINTED: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_SPECIAL: Final = re.compile('["\\\\\x00-\x1f]')
_PLAIN: Final = re.compile('[^"\\\\\x00-\x1f]*')
_DIGITS: Final = re.compile(r"[0-9]*")
#: strings (the last one perhaps cut off), numbers and brackets; each character is looked at once
_TOKEN: Final = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?|-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?|[\[\]{}]', re.DOTALL)
#: digits that may be too many for a double
_LONG_NUMBER: Final = 300
_BAD_PAIR: Final = "The surrogate pair in string is invalid."
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
#: stands for what cannot be printed; strings have it escaped
_STOP: Final = "\0"
#: this parser is recursive; the faster ones before it go deeper
_MAX_DEPTH: Final = 200
#: characters up to which this parser, which takes its time, looks for what is wrong
_MAX_EXAMINED: Final = 1 << 20
#: what it would say, by what the fast parser says; in larger texts the fast parser decides
_PROBLEMS: Final = {
    "Expecting ',' delimiter": "Missing a comma or ] after an array element.",
    "Expecting ':' delimiter": "Missing a colon after a name of object member.",
    "Expecting property name enclosed in double quotes": "Missing a name for object member.",
    "Unterminated string starting at": "Missing a closing quotation mark in string.",
    "Invalid control character at": "Invalid encoding in string.",
    "Invalid \\escape": "Invalid escape character in string.",
}


class JsonError(ValueError):
    """What is wrong with a JSON text, in the parser's words, and where."""

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(f"{problem} at offset: {offset}")


def parse_json(data: bytes, *, exact: bool = True) -> Any:
    """Parse the first JSON value in ``data``; of members with equal names the first counts.

    Without ``exact`` the text of an error is not always the server's, as in large documents: that takes less time.

    Raises:
        InvalidArgumentError: with the server's text.
    """
    if not data:
        raise InvalidArgumentError("JSON Parse error: The document is empty")
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    surrogates = "\\ud" in text or "\\uD" in text
    try:
        if len(text) > _MAX_EXAMINED or not exact:
            return _parse_large(text, surrogates=surrogates)
        if not surrogates:
            with contextlib.suppress(ValueError, RecursionError):
                return _quick(text)[0]
        return _Parser(text).parse()
    except JsonError as error:
        raise InvalidArgumentError(f"JSON Parse error: {error}") from None


def _quick(text: str) -> tuple[Any, int]:
    """Return the first value and where it ends; ``ValueError`` or ``RecursionError`` if the fast parser refuses it."""
    return _DECODER.raw_decode(text, len(text) - len(text.lstrip(_SPACE)))


def _parse_large(text: str, *, surrogates: bool) -> Any:
    """Parse with the fast parser alone, and name the first problem by a scan for what it does not tell."""
    value: Any = None
    problem = ""
    try:
        value, end = _quick(text)
    except json.JSONDecodeError as error:
        end, problem = error.pos, _PROBLEMS.get(error.msg.rstrip(": "), "Invalid value.")
    except (ValueError, RecursionError):
        end, problem = len(text), "Invalid value."
    if problem:
        end, problem = _first_problem(text, end) or (end, problem)
    elif surrogates:
        lone = _lone_surrogate(text, end)
        if lone is not None:
            end, problem = lone, _BAD_PAIR
    if problem:
        raise JsonError(problem, len(text[:end].encode("utf-8", "surrogateescape")))
    return value


def _first_problem(text: str, end: int) -> tuple[int, str] | None:
    """Find nesting, numbers and surrogates that the server refuses, before ``end``; takes time linear in the text."""
    depth = 0
    for token in _TOKEN.finditer(text, 0, end):
        first = token[0][0]
        if first in "[{":
            depth += 1
            if depth > _MAX_DEPTH:
                return token.end(), "Terminate parsing due to Handler error."
        elif first in "]}":
            depth -= 1
            if not depth:
                return None
        elif first == '"':
            lone = _lone_surrogate(token[0], len(token[0]))
            if lone is not None:
                return token.start() + lone, _BAD_PAIR
        elif len(token[0]) > _LONG_NUMBER or "e" in token[0] or "E" in token[0]:
            try:
                to_double(token[0])
            except ValueError:
                return token.start(), "Number too big to be stored in double."
    return None


def _lone_surrogate(text: str, end: int) -> int | None:
    """Return where there is, before ``end``, one half of an escaped surrogate pair without the other."""
    high: int | None = None
    behind = 0
    for escape in _ESCAPE.finditer(text, 0, end):
        code = int(escape[1] or "0", 16)
        low = 0xDC00 <= code <= 0xDFFF
        if high is not None and not (low and escape.start() == behind):
            return high
        if low and high is None:
            return escape.start()
        high, behind = (escape.start(), escape.end()) if 0xD800 <= code <= 0xDBFF else (None, 0)
    return high


def hide_escapes(data: bytes) -> bytes:
    """Return a text with the same places in which each quotation mark begins or ends a string."""
    return data.replace(b"\\\\", b"__").replace(b'\\"', b"__") if b"\\" in data else data


class RepeatedMembers(dict[str, Any]):
    """An object in which a name occurs more than once: the first counts, ``pairs`` has all in order."""

    __slots__ = ("pairs",)

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(reversed(pairs))
        self.pairs = pairs


def members(value: dict[str, Any]) -> Iterable[tuple[str, Any]]:
    """Return all members of an object, in order, repeated ones too."""
    return value.pairs if isinstance(value, RepeatedMembers) else value.items()


def _first_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else RepeatedMembers(pairs)


_DECODER: Final = json.JSONDecoder(object_pairs_hook=_first_wins, parse_int=integer_or_float, parse_float=to_double)


class _Parser:
    """A parser with RapidJSON's errors and offsets (offsets count bytes)."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def parse(self) -> Any:
        self._skip()
        if self._peek() in ("", "\0"):
            self._fail("The document is empty.")
        return self._value()

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self, expected: str) -> bool:
        if self._text.startswith(expected, self._at):
            self._at += len(expected)
            return True
        return False

    def _skip(self) -> None:
        while self._at < len(self._text) and self._text[self._at] in _SPACE:
            self._at += 1

    def _fail(self, problem: str, at: int | None = None) -> NoReturn:
        before = self._text[: self._at if at is None else at]
        raise JsonError(problem, len(before.encode("utf-8", "surrogateescape")))

    def _value(self) -> Any:
        first = self._peek()
        if first == '"':
            return self._string()
        if first in ("{", "["):
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                self._fail("Terminate parsing due to Handler error.")
            value = self._object() if first == "{" else self._array()
            self._depth -= 1
            return value
        for word, meaning in (("null", None), ("true", True), ("false", False)):
            if first == word[0]:
                return self._word(word, meaning)
        return self._number()

    def _word(self, word: str, meaning: Any) -> Any:
        for letter in word:
            if not self._take(letter):
                self._fail("Invalid value.")
        return meaning

    def _object(self) -> dict[str, Any]:
        self._at += 1
        pairs: list[tuple[str, Any]] = []
        self._skip()
        if self._take("}"):
            return {}
        while True:
            if self._peek() != '"':
                self._fail("Missing a name for object member.")
            name = self._string()
            self._skip()
            if not self._take(":"):
                self._fail("Missing a colon after a name of object member.")
            self._skip()
            pairs.append((name, self._value()))
            self._skip()
            if self._take("}"):
                return _first_wins(pairs)
            if not self._take(","):
                self._fail("Missing a comma or } after an object member.")
            self._skip()

    def _array(self) -> list[Any]:
        self._at += 1
        items: list[Any] = []
        self._skip()
        if self._take("]"):
            return items
        while True:
            items.append(self._value())
            self._skip()
            if self._take("]"):
                return items
            if not self._take(","):
                self._fail("Missing a comma or ] after an array element.")
            self._skip()

    def _string(self) -> str:
        self._at += 1
        parts: list[str] = []
        while True:
            plain = _PLAIN.match(self._text, self._at)
            assert plain is not None
            parts.append(plain[0])
            self._at = plain.end()
            letter = self._peek()
            if letter == '"':
                self._at += 1
                return "".join(parts)
            if letter == "\\":
                parts.append(self._escape())
            elif letter in ("", "\0"):
                self._fail("Missing a closing quotation mark in string.")
            else:
                self._fail("Invalid encoding in string.")

    def _escape(self) -> str:
        start = self._at
        letter = self._text[self._at + 1 : self._at + 2]
        self._at += 2
        if letter == "u":
            code = self._hex4(start)
            if 0xD800 <= code <= 0xDFFF:
                return chr(self._surrogates(code, start))
            return chr(code)
        if letter not in _ESCAPES or not letter:
            self._fail("Invalid escape character in string.", start)
        return _ESCAPES[letter]

    def _surrogates(self, high: int, start: int) -> int:
        if high > 0xDBFF or not self._take("\\u"):
            self._fail(_BAD_PAIR, start)
        low = self._hex4(start)
        if not 0xDC00 <= low <= 0xDFFF:
            self._fail(_BAD_PAIR, start)
        return ((high - 0xD800) << 10 | (low - 0xDC00)) + 0x10000

    def _hex4(self, start: int) -> int:
        digits = self._text[self._at : self._at + 4]
        if len(digits) != 4 or not all(digit in "0123456789abcdefABCDEF" for digit in digits):
            self._fail("Incorrect hex digit after \\u escape in string.", start)
        self._at += 4
        return int(digits, 16)

    def _number(self) -> int | float:
        start = self._at
        minus = self._take("-")
        first = self._peek()
        if first in ("N", "I") and first:
            return self._named_number(minus=minus)
        if self._take("0"):
            pass
        elif first and first in "123456789":
            self._digits()
        else:
            self._fail("Invalid value.")
        whole = True
        if self._take("."):
            whole = False
            if not self._digits():
                self._fail("Miss fraction part in number.")
        if self._peek() in ("e", "E") and self._peek():
            whole = False
            self._at += 1
            if self._peek() in ("+", "-") and self._peek():
                self._at += 1
            if not self._digits():
                self._fail("Miss exponent in number.")
        text = self._text[start : self._at]
        try:
            value = integer_or_float(text) if whole else to_double(text)
        except ValueError:
            self._fail("Number too big to be stored in double.", start)
        return value

    def _digits(self) -> bool:
        found = _DIGITS.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return bool(found[0])

    def _named_number(self, *, minus: bool) -> float:
        if self._take("N"):
            return float(self._word("aN", math.nan))
        self._word("Inf", None)
        if self._peek() == "i":
            self._word("inity", None)
        return -math.inf if minus else math.inf


def print_json(value: Any) -> str:
    """Write a value as the server quotes it in errors: objects over several lines, arrays on one.

    The server's printer stops before a NaN or an infinity within an object or a list.
    """
    if isinstance(value, float):
        return decimal_text(value)
    return _printed(value, 0).partition(_STOP)[0]


def _printed(value: Any, level: int) -> str:
    if isinstance(value, dict):
        if not value:
            return "{}"
        indent = "    " * (level + 1)
        lines = (f"\n{indent}{quote(name)}: {_printed(item, level + 1)}" for name, item in members(value))
        return f"{{{','.join(lines)}\n{'    ' * level}}}"
    if isinstance(value, list):
        return f"[{', '.join(_printed(item, level + 1) for item in value)}]"
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, float):
        return _double_text(value)
    return (
        {None: "null", True: "true", False: "false"}[value] if value is None or isinstance(value, bool) else str(value)
    )


def quote(text: str) -> str:
    """Write a string as the server does, with quotation marks."""
    return f'"{_SPECIAL.sub(_escaped, text)}"'


def _escaped(match: re.Match[str]) -> str:
    return _PRINTED.get(match[0]) or f"\\u{ord(match[0]):04X}"


def decimal_text(value: float) -> str:
    """Write a decimal as the server does: six digits if they are enough for a float32, else nine (json_tensor.cc)."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "-Infinity" if value < 0 else "Infinity"
    import numpy as np

    with np.errstate(over="ignore"):
        single = np.float32(value)
    digits = 9
    if np.isinf(single):
        single, digits = np.float64(value), 17  # type: ignore[assignment]
    text = f"{float(single):.6g}"
    if type(single)(text) != single:
        text = f"{float(single):.{digits}g}"
    return text if "." in text or "e" in text else f"{text}.0"


def _double_text(value: float) -> str:
    if not math.isfinite(value):
        return _STOP
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    if exponent:
        power = int(exponent)
        if 0 <= power < 21:
            return f"{int(value)}.0"
        if -7 < power < 0:
            return f"{value:.{len(mantissa.replace('.', '').lstrip('-')) - 1 - power}f}"
        return f"{mantissa.removesuffix('.0')}e{power}"
    return text
