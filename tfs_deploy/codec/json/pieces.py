# SPDX-License-Identifier: Apache-2.0
"""Large JSON documents in pieces: a parser runs in one call, in which no other thread of the process does.

A document is taken apart at commas and brackets, found with NumPy in one chunk after the other. Its small values are
parsed; of large lists each piece is parsed when it is needed, so that millions of small objects never live at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from tfs_deploy.codec.json.text import hide_escapes, members, parse_json
from tfs_deploy.errors import InvalidArgumentError

#: bytes that are parsed in one call, which takes about 5 ms
PIECE: Final = 1 << 18
_SPACE: Final = b" \t\n\r"
_QUOTE: Final = ord('"')
_COMMA: Final = ord(",")
_BACKSLASH: Final = ord("\\")
_DELTA: Final = np.zeros(256, np.int8)
_DELTA[[ord("["), ord("{")]] = 1
_DELTA[[ord("]"), ord("}")]] = -1
#: as deep as the tolerant parser goes
_MAX_DEPTH: Final = 200


@dataclass
class LargeList:
    """A list: pieces of text with whole elements, without the brackets, and elements that are large themselves."""

    parts: list[bytes | LargeList | LargeObject] = field(default_factory=list)


@dataclass
class LargeObject:
    """An object, of which a member is large or which lies across two chunks; names may repeat."""

    pairs: list[tuple[str, Value]] = field(default_factory=list)

    def first(self) -> dict[str, Value]:
        """Return the members; of those with equal names the first, as in the server."""
        return dict(reversed(self.pairs))


#: a parsed value, or one that is large
Value: TypeAlias = Any


def parse_large(data: bytes, proceed: Callable[[], None]) -> Value:
    """Take the first JSON value of a document apart; the lists in it are checked when they are read.

    ``proceed`` is called between chunks; it may raise.

    Raises:
        InvalidArgumentError: it is not JSON; the text is not always the server's.
    """
    start = len(data) - len(data.lstrip(_SPACE)) if data[:1] in _SPACE else 0
    if data[start : start + 1] not in (b"[", b"{"):
        return parse_json(data[start:])
    return _Taker(data, start).take(proceed)


def parse_piece(text: bytes) -> list[Any]:
    """Parse a piece of a list."""
    found: list[Any] = parse_json(b"[%b]" % text, exact=False)
    return found


class _Taker:
    """Walks over a document: the containers that are open, and where the text that is not yet added begins."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data = data
        self._at = self._begin = start
        self._open: list[LargeList | LargeObject] = []
        self._names: list[str] = []
        self._root: Value = None
        self._descend(start)
        self._at += 1

    def take(self, proceed: Callable[[], None]) -> Value:
        while self._at < len(self._data):
            proceed()
            if self._step():
                return self._root
        raise _wrong("the document ends too early", len(self._data))

    def _step(self) -> bool:
        """Take the next chunk, which begins outside of strings; return whether the document has ended."""
        start = self._at
        chunk = self._data[start : start + PIECE]
        places, changes, inside = _structure(chunk)
        self._at = _behind(self._data, start, len(chunk), inside)
        if not len(places):
            return False
        depth = np.cumsum(changes, dtype=np.int64)
        before = np.minimum.accumulate(np.concatenate(([0], depth)))[:-1]
        after = np.minimum.accumulate(depth[::-1])[::-1]
        closing = np.flatnonzero((changes < 0) & (depth < before))
        opening = np.flatnonzero((changes > 0) & (after >= depth))
        closed = int(closing[-1]) if len(closing) else -1
        for index in closing.tolist():
            if self._close(start + int(places[index])):
                return True
        lowest = int(depth[closed]) if len(closing) else 0
        commas = _commas(changes, depth, closed, lowest)
        if len(opening) and len(commas := commas[commas < opening[0]]):
            # the chunk ends before an element rather than within it
            opening = opening[:0]
            self._at = start + int(places[commas[-1]]) + 1
        for index in opening.tolist():
            self._descend(start + int(places[index]))
        if len(opening):
            commas = _commas(changes, depth, int(opening[-1]), int(depth[opening[-1]]))
        if len(commas):
            self._add(start + int(places[commas[-1]]))
        return False

    def _text(self, end: int, *, more: bool) -> bytes:
        """Return the text of whole elements up to here, without the commas around it."""
        text = self._data[self._begin : end].strip(_SPACE)
        container = self._open[-1]
        filled = bool(container.parts if isinstance(container, LargeList) else container.pairs)
        if filled and (text or more):
            if not text.startswith(b","):
                raise _wrong("a comma is missing", self._begin)
            text = text[1:].strip(_SPACE)
            if not text and not more:
                raise _wrong("a value is missing", end)
        return text

    def _add(self, end: int) -> None:
        """Add what lies before a comma or a bracket."""
        self._put(self._text(end, more=False))
        self._begin = end

    def _put(self, text: bytes) -> None:
        container = self._open[-1]
        if not text:
            return
        if isinstance(container, LargeList):
            container.parts.append(text)
        else:
            container.pairs.extend(members(parse_json(b"{%b}" % text, exact=False)))

    def _descend(self, place: int) -> None:
        found = LargeList() if self._data[place] == ord("[") else LargeObject()
        name = ""
        if self._open:
            text = self._text(place, more=True)
            if isinstance(self._open[-1], LargeObject):
                text, name = _last_name(text, place)
            if text:
                if not text.endswith(b","):
                    raise _wrong("a comma is missing", place)
                text = text[:-1].strip(_SPACE)
                if not text:
                    raise _wrong("a value is missing", place)
                self._put(text)
        if len(self._open) >= _MAX_DEPTH:
            raise _wrong("the document is nested too deeply", place)
        self._open.append(found)
        self._names.append(name)
        self._begin = place + 1

    def _close(self, place: int) -> bool:
        if not self._open:
            raise _wrong("a bracket closes nothing", place)
        self._add(place)
        found, name = self._open.pop(), self._names.pop()
        if self._data[place] != ord("]" if isinstance(found, LargeList) else "}"):
            raise _wrong("a bracket closes one of another kind", place)
        self._begin = place + 1
        if not self._open:
            self._root = found
            return True
        parent = self._open[-1]
        if isinstance(parent, LargeList):
            parent.parts.append(found)
        else:
            parent.pairs.append((name, found))
        return False


def _commas(changes: Any, depth: Any, behind: int, level: int) -> Any:
    """Return the indices of the commas at a depth, behind an index."""
    found = np.flatnonzero((changes == 0) & (depth == level))
    return found[found > behind]


def _behind(data: bytes, start: int, length: int, inside: int | None) -> int:
    """Return where the next chunk begins: a string is not cut, one that is as long as a chunk is skipped."""
    if inside is None:
        return start + length
    return start + inside if inside else _string_end(data, start)


def _structure(chunk: bytes) -> tuple[Any, Any, int | None]:
    """Find brackets and commas outside of strings.

    Returns their places, by how much each changes the depth, and where a string begins that goes on behind the chunk.
    """
    chunk = hide_escapes(chunk)
    codes = np.frombuffer(chunk, np.uint8)
    delta = _DELTA[codes]
    wanted = (delta != 0) | (codes == _COMMA)
    inside = None
    if b'"' in chunk:
        odd = np.logical_xor.accumulate(codes == _QUOTE)
        wanted &= ~odd
        if odd[-1]:
            inside = chunk.rindex(b'"')
    places = np.flatnonzero(wanted)
    return places, delta[places], inside


def _string_end(data: bytes, start: int) -> int:
    """Return the place behind a string that begins here."""
    at = start + 1
    while at < len(data):
        chunk = hide_escapes(data[at : at + max(PIECE, 2)])
        end = chunk.find(b'"')
        if end >= 0:
            return at + end + 1
        # an escape is not cut
        at += len(chunk) - chunk.endswith(b"\\") or 1
    raise _wrong("a string does not end", start)


def _last_name(text: bytes, place: int) -> tuple[bytes, str]:
    """Cut the name off the end of a text of members."""
    rest = text[:-1].rstrip(_SPACE) if text.endswith(b":") else b""
    start = len(rest) - 1
    while start > 0 and rest.endswith(b'"'):
        start = rest.rfind(b'"', 0, start)
        before = start - 1
        while before >= 0 and rest[before] == _BACKSLASH:
            before -= 1
        if start >= 0 and (start - before) % 2:
            return rest[:start].rstrip(_SPACE), parse_json(rest[start:])
    raise _wrong("a name is missing", place)


def _wrong(problem: str, place: int) -> InvalidArgumentError:
    return InvalidArgumentError(f"JSON Parse error: {problem} at offset: {place}")
