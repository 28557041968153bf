# SPDX-License-Identifier: Apache-2.0
"""YAML as plain values, with the line of every key and item; text that is easily misread is refused.

Scalars are read by the rules of YAML 1.2, which has no octal ``010`` and no boolean ``on``. Text that YAML 1.1
would read differently is refused: other tools that read the same file would disagree.

Values may name environment variables, see ``variables``. They are put in after the text was parsed: a variable never
changes what the rest of the file means, and a plain scalar is read as if its value stood there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import yaml

from tfs_deploy.deployment.file.variables import substituted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KeyPath = tuple[str | int, ...]
#: line (from 1), path, what is wrong there
Found = tuple[int, KeyPath, str]

_NULLS: Final = ("", "~", "null", "Null", "NULL")
_BOOLS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,30})")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_PADDED: Final = re.compile(r"[-+]?0[0-9]+")
_ODD_NUMBER: Final = re.compile(
    r"[-+]?(0[xob][0-9a-fA-F_]+|[0-9][0-9_]*_[0-9_]*|[0-9]+(:[0-5]?[0-9])+|[0-9]{32,}|\.(inf|Inf|INF))|\.(nan|NaN|NAN)"
)
_OLD_BOOL: Final = re.compile(r"yes|no|on|off", re.IGNORECASE)
_QUOTED: Final = ("'", '"', "|", ">")
#: more levels than any deployment has, and more values that aliases stand for
_DEEPEST: Final = 20
_MOST_REPEATED: Final = 50_000


class _UnreadableError(Exception):
    """A file that is YAML but cannot be read as values; ``line`` is where that shows."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass
class ParsedYaml:
    """The values of a file; ``lines`` maps a path to its line (from 1), ``problems`` are what is wrong in it."""

    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Found] = field(default_factory=list)

    def line(self, path: KeyPath) -> int:
        """Return the line of ``path``, or of the nearest thing around it that is in the file."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 1


def read_yaml(text: str, kind: str = "deployment file", *, variables: bool = True) -> ParsedYaml:
    """Read YAML text; a syntax error becomes the one problem of the result.

    ``kind``: what messages call the file; ``variables``: whether environment variables are put in.
    """
    parsed = ParsedYaml()
    try:
        events = _events(text)
        starts = [event for event in events if isinstance(event, yaml.DocumentStartEvent)]
        if len(starts) > 1:
            parsed.problems.append(
                (_line(starts[1]), (), f"holds a second document (---); a {kind} is a single document")
            )
        elif starts:
            parsed.lines[()] = _line(events[2])
            parsed.data = _Builder(parsed, events, kind, variables=variables).value(2, ())[0]
    except yaml.MarkedYAMLError as error:
        parsed.problems = [_syntax_problem(error, text)]
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        parsed.problems = [(line, (), f"not YAML: character {text[error.position]!r} is not allowed")]
    except _UnreadableError as error:
        parsed.problems = [(error.line, (), f"not a {kind}: {error}")]
    return parsed


def _events(text: str) -> list[Any]:
    """Parse with libyaml, which is ten times faster; its error messages are poorer, so a fault is looked at again.

    Events rather than nodes: libyaml's composer recurses in C, and deep nesting would crash the process.
    """
    fast = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return list(_shallow(yaml.parse(text, Loader=fast)))
    except yaml.YAMLError:
        list(_shallow(yaml.parse(text, Loader=yaml.BaseLoader)))
        raise


def _shallow(events: Iterable[Any]) -> Iterator[Any]:
    """Pass events on until they nest deeper than any deployment: the parser slows down with every level."""
    depth = 0
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST:
            raise _UnreadableError("nested too deeply", _line(event))
        yield event


def _line(event: Any) -> int:
    line: int = event.start_mark.line + 1
    return line


def _syntax_problem(error: yaml.MarkedYAMLError, text: str) -> Found:
    mark = error.problem_mark or error.context_mark
    lines = text.splitlines() or [""]
    line = min(mark.line + 1 if mark is not None else 1, len(lines))
    content = lines[line - 1]
    if "\t" in content[: len(content) - len(content.lstrip())]:
        return line, (), "not YAML: a tab is used for indentation, use spaces"
    context = f" {error.context}" if error.context else ""
    start = error.context_mark
    if context and start is not None and start.line + 1 != line:
        context += f" that starts at line {start.line + 1}"
    return line, (), f"not YAML: {error.problem or 'syntax error'}{context}"


class _Builder:
    """Builds values out of parser events; every method takes an index into them and returns the one after its value."""

    def __init__(self, parsed: ParsedYaml, events: list[Any], kind: str, *, variables: bool) -> None:
        self._kind = kind
        self._variables = variables
        self._parsed = parsed
        self._events = events
        self._anchors: dict[str, int] = {}
        self._open: list[int] = []
        self._in_aliases = self._repeated = 0

    def value(self, index: int, path: KeyPath) -> tuple[Any, int]:
        event = self._events[index]
        self._repeated += self._in_aliases > 0
        if self._repeated > _MOST_REPEATED:
            raise _UnreadableError("its aliases expand to too many values", _line(event))
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path), index + 1
        if event.anchor is not None:
            self._anchors[event.anchor] = index
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path), index + 1
        if event.tag is not None:
            self._problem(event, path, f"tag {event.tag} is not supported in a {self._kind}")
        if len(self._open) > _DEEPEST:  # by way of aliases
            raise _UnreadableError("nested too deeply", _line(event))
        self._open.append(index)
        is_list = isinstance(event, yaml.SequenceStartEvent)
        built = self._sequence(index + 1, path) if is_list else self._mapping(index + 1, path)
        self._open.pop()
        return built

    def _problem(self, event: Any, path: KeyPath, message: str) -> None:
        self._parsed.problems.append((_line(event), path, message))

    def _alias(self, event: Any, path: KeyPath) -> Any:
        target = self._anchors.get(event.anchor)
        if target is None:
            raise _UnreadableError(f"alias *{event.anchor} has no anchor before it", _line(event))
        if target in self._open:
            raise _UnreadableError(f"alias *{event.anchor} refers to what it is part of", _line(event))
        self._in_aliases += 1
        value = self.value(target, path)[0]
        self._in_aliases -= 1
        return value

    def _sequence(self, index: int, path: KeyPath) -> tuple[list[Any], int]:
        items: list[Any] = []
        while not isinstance(self._events[index], yaml.SequenceEndEvent):
            inner = (*path, len(items))
            self._parsed.lines[inner] = _line(self._events[index])
            item, index = self.value(index, inner)
            items.append(item)
        return items, index + 1

    def _mapping(self, index: int, path: KeyPath) -> tuple[dict[str, Any], int]:
        values: dict[str, Any] = {}
        while not isinstance(self._events[index], yaml.MappingEndEvent):
            event = self._events[index]
            if not isinstance(event, yaml.ScalarEvent):
                raise _UnreadableError("a key is a list, a mapping or an alias, not a name", _line(event))
            inner = (*path, event.value)
            problem = self._key_problem(event, values, inner)
            if problem:
                self._problem(event, inner, problem)
            if event.value in values:
                _, index = self.value(index + 1, (*inner, "(second)"))
                continue
            self._parsed.lines[inner] = _line(event)
            values[event.value], index = self.value(index + 1, inner)
        return values, index + 1

    def _key_problem(self, event: yaml.ScalarEvent, values: dict[str, Any], inner: KeyPath) -> str:
        name = event.value
        if name in values:
            return f"is given twice, first at line {self._parsed.lines[inner]}"
        if event.style in _QUOTED:
            return ""
        if name == "<<":
            return "merge keys are not supported, write the keys out"
        value, trap = _resolve(name)
        if trap or isinstance(value, str):
            return trap
        return "a key is missing before the colon" if not name else f"the key is not text: write '{name}' in quotes"

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> Any:
        if event.tag is not None:
            self._problem(event, path, f"tag {event.tag} is not supported in a {self._kind}")
            return event.value
        text, problems = substituted(event.value) if self._variables else (event.value, [])
        for problem in problems:
            self._problem(event, path, problem)
        if event.style in _QUOTED or problems:
            return text
        value, trap = _resolve(text)
        if trap:
            self._problem(event, path, trap)
        elif value is None:
            self._problem(event, path, "has no value")
        return value


def _resolve(text: str) -> tuple[Any, str]:
    """Return the value of a plain scalar, and what is wrong with it ('' if nothing)."""
    if text in _NULLS:
        return None, ""
    if text in _BOOLS:
        return _BOOLS[text], ""
    if _INT.fullmatch(text):
        return int(text), ""
    if _PADDED.fullmatch(text):
        plain = int(text)
        return plain, f"{text} is octal in YAML 1.1: write {plain} (directory {text.lstrip('+-')} is version {plain})"
    if _ODD_NUMBER.fullmatch(text):
        return text, f"{text} is ambiguous: write a plain decimal number, or put it in quotes"
    if _FLOAT.fullmatch(text):
        return float(text), ""
    if _OLD_BOOL.fullmatch(text):
        meant = "true" if text.lower() in ("yes", "on") else "false"
        return text, f"{text} is a boolean in YAML 1.1: write {meant}, or '{text}' in quotes if the word is meant"
    return text, ""
