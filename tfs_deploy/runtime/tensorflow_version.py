# SPDX-License-Identifier: Apache-2.0
"""Versions of TensorFlow, compared and required as in PEP 440."""

from __future__ import annotations

import re
from functools import total_ordering
from typing import Final

from tfs_deploy.errors import ModelError, UsageError

_VERSION: Final = re.compile(
    r"\s*v?(?:\d+!)?(?P<release>\d+(?:\.\d+)*)"
    r"(?:[-_.]?(?P<pre>a|alpha|b|beta|c|rc|pre|preview)[-_.]?(?P<pre_number>\d*))?"
    r"(?:[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_number>\d*))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_number>\d*))?"
    r"(?:\+(?P<local>[a-z0-9._-]+))?\s*",
    re.IGNORECASE,
)
_PRE: Final = {"a": 0, "alpha": 0, "b": 1, "beta": 1, "c": 2, "rc": 2, "pre": 2, "preview": 2}
_CLAUSE: Final = re.compile(r"\s*(~=|==|!=|<=|>=|<|>)\s*([^\s,]+)\s*")
_FINAL: Final = (3, 0)


@total_ordering
class Version:
    """A version number; its local part (``+nv24.1``) does not count in comparisons."""

    def __init__(self, text: str) -> None:
        match = _VERSION.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not a version number")
        self.text = text.strip()
        release = tuple(int(part) for part in match["release"].split("."))
        while len(release) > 1 and release[-1] == 0:
            release = release[:-1]
        self.release = release
        pre = (_PRE[match["pre"].lower()], int(match["pre_number"] or 0)) if match["pre"] else _FINAL
        post = int(match["post_number"] or 0) + 1 if match["post"] else 0
        dev = int(match["dev_number"] or 0) if match["dev"] else None
        # a development version of a release comes before its candidates
        if dev is not None and pre == _FINAL and not post:
            pre = (-1, 0)
        self._key = (release, pre, post, dev is None, dev or 0)

    @property
    def minor(self) -> tuple[int, int]:
        """Major and minor number."""
        padded = (*self.release, 0, 0)
        return padded[0], padded[1]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __str__(self) -> str:
        return self.text


def satisfies(version: Version, requirement: str) -> bool:
    """Tell whether a version meets a requirement such as ``>=2.15,<3`` or ``==2.16.*``.

    Raises:
        UsageError: the requirement is not valid.
    """
    clauses = [clause for clause in requirement.split(",") if clause.strip()]
    if not clauses:
        raise UsageError(f"the requirement {requirement!r} is empty", hint="write it as '>=2.15' or '>=2.15,<3'")
    return all(_meets(version, clause) for clause in clauses)


def _meets(version: Version, clause: str) -> bool:
    match = _CLAUSE.fullmatch(clause)
    if match is None:
        raise _invalid_requirement(clause)
    operator, text = match[1], match[2]
    try:
        if text.endswith(".*") and operator in ("==", "!="):
            prefix = tuple(int(part) for part in text[:-2].split("."))
            same = (*version.release, *(0,) * len(prefix))[: len(prefix)] == prefix
            return same is (operator == "==")
        wanted = Version(text)
    except ValueError:
        raise _invalid_requirement(clause) from None
    if operator == "~=":
        series = tuple(int(part) for part in re.match(r"[\d.]+", text)[0].rstrip(".").split("."))[:-1]  # type: ignore[index]
        return version >= wanted and (*version.release, *(0,) * len(series))[: len(series)] == series
    return {
        "==": version == wanted,
        "!=": version != wanted,
        "<=": version <= wanted,
        ">=": version >= wanted,
        "<": version < wanted,
        ">": version > wanted,
    }[operator]


def _invalid_requirement(clause: str) -> UsageError:
    return UsageError(f"{clause.strip()!r} is not a version requirement", hint="write it as '>=2.15' or '>=2.15,<3'")


def check_installed(installed: str, requirement: str | None) -> None:
    """Raise ``UsageError`` unless the installed TensorFlow meets a requirement."""
    if requirement is not None and not satisfies(Version(installed), requirement):
        raise UsageError(
            f"TensorFlow {installed} is installed, but {requirement} is required",
            hint=f"pip install 'tensorflow{requirement}'",
        )


def check_producer(path: str, producer: str, installed: str) -> None:
    """Refuse a model written by a newer minor version of TensorFlow than the installed one.

    Raises:
        ModelError: the hint says what to do.
    """
    try:
        written, here = Version(producer), Version(installed)
    except ValueError:
        return  # some old models say "unknown"
    if written.minor > here.minor:
        raise ModelError(
            f"{path} was written by TensorFlow {written}, but {here} is installed",
            hint=f"pip install 'tensorflow>={written.minor[0]}.{written.minor[1]}', or pass allow_newer=True to try",
        )
