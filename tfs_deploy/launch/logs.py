# SPDX-License-Identifier: Apache-2.0
"""Reading a server's log."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: bytes read from the end of a log at first
_TAIL = 64 * 1024
#: what surrounds the reason: prefix and hint of the embedded server, prefix of the original
_DECORATION = re.compile(r"^error: |^Failed to start server\. Error: | \(hint: .*\)$")
#: a version that keeps the server from its start, in the status that it prints (server_core.cc): model, version, why
_FAILED = re.compile(r"\{name: (\S+) version: (\d+)\} due to error: (?:[A-Z_]+: )?(.{0,2000}?)\}(?=, |$)")
#: a line that says why a server stopped
_REASON = re.compile(r"error|fail|refused|cannot|not found", re.IGNORECASE)


def tail(path: Path, count: int, *, start: int = 0) -> list[str]:
    """Return the last ``count`` lines after byte ``start`` that are not blank, none without a log."""
    if count <= 0:
        return []
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            lines: list[str] = []
            span = _TAIL
            # One line more than requested, since the first may be incomplete.
            while len(lines) <= count:
                begin = max(start, size - span)
                file.seek(begin)
                text = file.read(size - begin).decode(errors="replace")
                lines = [line for line in text.splitlines() if line.strip()]
                if begin == start:
                    break
                span *= 4
            return lines[-count:]
    except FileNotFoundError:
        return []


def reason(lines: list[str]) -> str | None:
    """Return why a server stopped, out of the line that says it, None if none stands out."""
    line = _telling(lines)
    if line is None:
        return None
    failed = _FAILED.findall(line)
    if failed:
        return "; ".join(f"{model} version {version} failed to load: {why}" for model, version, why in failed)
    return _DECORATION.sub("", line).strip()


def around_reason(lines: list[str]) -> list[str]:
    """Return the lines of a log that do not say again what ``reason`` says."""
    telling = _telling(lines)
    said = [] if telling is None else [why for _, _, why in _FAILED.findall(telling)]
    return [line for line in lines if line != telling and not any(why in line for why in said)]


def _telling(lines: list[str]) -> str | None:
    return next((line for line in reversed(lines) if _REASON.search(line)), None)


def follow(path: Path, *, alive: Callable[[], bool], pause: float = 0.2) -> Iterator[str]:
    """Yield what is appended to a log from now on, until its server ends."""
    with path.open("rb") as file:
        file.seek(0, 2)
        while True:
            # Looked up before reading, so that the last lines of a server that ends are not missed.
            going_on = alive()
            chunk = file.read()
            if chunk:
                yield chunk.decode(errors="replace")
            elif not going_on:
                return
            else:
                time.sleep(pause)
