# SPDX-License-Identifier: Apache-2.0
"""What TAB completes where no file has to be read: words from a list, and paths by the end of their names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import click
    from click.shell_completion import CompletionItem

    Completer: TypeAlias = "Callable[[click.Context, click.Parameter, str], list[CompletionItem]]"

#: kinds of items beside those of click: ``PATH`` may need quotes and is a directory or not, after ``PART`` more follows
PATH: Final = "path"
PART: Final = "part"
#: ends of names of deployment files
DEPLOYMENT_FILES: Final = (".yaml", ".yml")


def item(value: str, kind: str = "plain", about: str | None = None, *, is_folder: bool = False) -> CompletionItem:
    """Return one item; the class is imported only when a shell asks."""
    from click.shell_completion import CompletionItem

    return CompletionItem(value, kind, about, is_folder=is_folder)


def items(words: Iterable[str | tuple[str, str]], typed: str, kind: str = "plain") -> list[CompletionItem]:
    """Return the words (or words with what they mean) that begin with what was typed.

    A word that is not printable is left out: a shell would hand it to the terminal.
    """
    pairs = ((each, None) if isinstance(each, str) else each for each in words)
    return [item(word, kind, about) for word, about in pairs if word.startswith(typed) and word.isprintable()]


def one_of(*words: str) -> Completer:
    """Complete one of these words."""
    return one_of_these(lambda: words)


def one_of_these(words: Callable[[], Iterable[str | tuple[str, str]]]) -> Completer:
    """Complete one of the words that a function returns."""
    return lambda _context, _parameter, typed: items(words(), typed)


def beginning_with(words: Callable[[], Iterable[str | tuple[str, str]]]) -> Completer:
    """Complete the first part of a word, which the user goes on with, such as the name in ``NAME=LIMIT``."""
    return lambda _context, _parameter, typed: items(words(), typed, PART)


def list_of(words: Callable[[], Iterable[str | tuple[str, str]]]) -> Completer:
    """Complete the last item of a list with commas, ``A,B``."""

    def complete(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        before, comma, last = typed.rpartition(",")
        taken = before.split(",")
        found = [each for each in items(words(), last) if each.value not in taken]
        return [item(f"{before}{comma}{each.value}", each.type, each.help) for each in found]

    return complete


def paths(*ends: str, words: tuple[str, ...] = ()) -> Completer:
    """Complete directories, and files whose names end so (no end: all files); also some words."""

    def complete(_context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        return [*items(words, typed), *_paths(typed, ends)]

    return complete


def _paths(typed: str, ends: tuple[str, ...]) -> list[CompletionItem]:
    folder, name = os.path.split(typed)
    found = []
    try:
        with os.scandir(Path(folder or ".").expanduser()) as entries:
            for entry in entries:
                hidden = entry.name.startswith(".") and not name.startswith(".")
                if not entry.name.startswith(name) or hidden or not entry.name.isprintable():
                    continue
                is_folder = entry.is_dir()
                if is_folder or (entry.is_file() and entry.name.endswith(ends or ("",))):
                    found.append(item(os.path.join(folder, entry.name), PATH, is_folder=is_folder))  # noqa: PTH118 - a leading ~ or ./ stays as it was typed
    except (OSError, RuntimeError):  # no such directory, or no such user's home: there is nothing to complete
        return []
    return sorted(found, key=lambda each: each.value)


#: completes the path of a directory: no file's name ends with a slash
directory = paths("/")
#: completes the path of a deployment file
deployment_file = paths(*DEPLOYMENT_FILES)
#: completes the path of a policy file
policy_file = paths(*DEPLOYMENT_FILES)
