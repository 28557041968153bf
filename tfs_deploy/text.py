# SPDX-License-Identifier: Apache-2.0
"""Text for people: suggestions, single lines, sizes, counts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

#: what pip calls this project; ``tfs-deploy`` on PyPI is another one
DISTRIBUTION: Final = "tf-serving-deploy"

#: the scheme of a URL, and its user with the @ (RFC 3986, 3.2.1): one with a password, and any of HTTP, often a token
_USER_OF_URL: Final = re.compile(
    r"(https?://(?=[^\s/?#]*@)|[A-Za-z][A-Za-z0-9+.-]*://(?=[^\s/?#@]*:[^\s/?#]*@))[^\s/?#]*@", re.IGNORECASE
)


def closest(word: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """Return the known word closest to a misspelt one, or None if none is similar."""
    import difflib  # only a mistake needs it

    near = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return near[0] if near else None


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str) -> str:
    """Return the hint that names the known word closest to a misspelt one, or ``otherwise`` if none is similar."""
    near = closest(word, known)
    return otherwise if near is None else f"did you mean {near!r}?"


def install_extra(extra: str) -> str:
    """Return the command that installs an extra of this project."""
    return f"pip install '{DISTRIBUTION}[{extra}]'"


def without_passwords(text: str) -> str:
    """Return text with what stands before the @ of a URL (a name, a password, a token) as ``***``."""
    return _USER_OF_URL.sub(r"\1***@", text) if "://" in text else text


def visible(text: str) -> str:
    """Return text with what is not printable as an escape, line feeds and tabs aside, and without passwords of URLs.

    Names of models, labels and tensors, and what servers answer, may hold escape sequences for a terminal.
    """
    text = without_passwords(text)
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(letter: str) -> str:
    if letter.isprintable() or letter in "\n\t":
        return letter
    return f"\\x{ord(letter):02x}" if ord(letter) < 0x100 else f"\\u{ord(letter):04x}"


def visible_line(text: str) -> str:
    r"""Return visible text on one line, with ``\n`` for a line feed: a name must not make lines of its own."""
    return visible(text).replace("\n", "\\n")


def one_line(text: str, *, most: int | None = None) -> str:
    """Return text with every run of white space as one space, cut to ``most`` characters."""
    line = " ".join(text.split())
    return line if most is None or len(line) <= most else f"{line[: most - 3]}..."


def size_text(count: float) -> str:
    """Return a number of bytes in the unit that keeps it short, of 1000 each: ``98.4 MB``."""
    if count < 1000:
        return f"{count:.0f} B"
    size = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        size /= 1000
        if size < 999.95 or unit == "TB":
            break
    return f"{size:.1f} {unit}"


def counted(count: int, noun: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def parse_document(data: str | bytes | bytearray) -> Any:
    """Parse JSON that is not ours; raises ``ValueError`` also for what nests too deeply."""
    import json  # the command line starts without it

    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
