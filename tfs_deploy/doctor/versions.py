# SPDX-License-Identifier: Apache-2.0
"""Versions and requirements of Python packages, as far as their metadata needs it (PEP 440 and 508).

The ``packaging`` library would know all of it; the command line does without one more dependency. What is not
understood here counts as fulfilled, so that nothing is reported that is not so.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

_REQUIREMENT: Final = re.compile(r"\s*(?P<name>[A-Za-z0-9._-]+)\s*(?:\[[^\]]*\])?\s*\(?(?P<range>[^;)@]*)\)?\s*")
_PART: Final = re.compile(r"(~=|==|!=|<=|>=|<|>)\s*([0-9][^\s,]*)")
_VERSION: Final = re.compile(r"v?(?:\d+!)?(?P<release>\d+(?:\.\d+)*)(?P<rest>.*)")
_PRE: Final = re.compile(r"[-_.]?(a|b|c|rc|alpha|beta|pre|preview|dev)\d*", re.IGNORECASE)
_CLAUSE: Final = re.compile(r"""(?P<name>\w+)\s*(?P<op>==|!=|<=|>=|<|>)\s*["'](?P<value>[^"']*)["']""")
_ORDER: Final[Mapping[str, Callable[[int], bool]]] = {
    "==": lambda sign: sign == 0,
    "!=": lambda sign: sign != 0,
    "<": lambda sign: sign < 0,
    "<=": lambda sign: sign <= 0,
    ">": lambda sign: sign > 0,
    ">=": lambda sign: sign >= 0,
}


@dataclass(frozen=True, slots=True)
class Requirement:
    """``name`` as normalised, ``range`` like ``>=2.16,<3``, ``marker`` as written."""

    name: str
    range: str
    marker: str = ""

    @classmethod
    def parse(cls, text: str) -> Requirement | None:
        """Read a ``Requires-Dist`` line, None if it is not one (a URL)."""
        line, _, marker = text.partition(";")
        match = _REQUIREMENT.fullmatch(line)
        if match is None:
            return None
        return cls(normalised(match["name"]), match["range"].replace(" ", ""), marker.strip())

    def extra(self) -> str | None:
        """Return the extra that asks for it, None if the package itself does."""
        match = re.search(r"""extra\s*==\s*["']([^"']+)["']""", self.marker)
        return None if match is None else match[1]

    def applies(self, environment: Mapping[str, str]) -> bool:
        """Tell whether it counts here; extras do not count, and what is not understood does not."""
        if not self.marker:
            return True
        if "(" in self.marker or "extra" in self.marker:
            return False
        return any(
            all(_holds(clause, environment) for clause in re.split(r"\s+and\s+", part))
            for part in re.split(r"\s+or\s+", self.marker)
        )


def _holds(clause: str, environment: Mapping[str, str]) -> bool:
    match = _CLAUSE.fullmatch(clause.strip())
    if match is None or match["name"] not in environment:
        return False
    here, value = environment[match["name"]], match["value"]
    if "version" in match["name"]:
        return _ORDER[match["op"]](compare(here, value))
    return (here == value) == (match["op"] == "==") if match["op"] in ("==", "!=") else False


def normalised(name: str) -> str:
    """Return a package's name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def release(version: str) -> tuple[int, ...]:
    """Return the numbers of a version: ``2.16.0rc1`` is (2, 16, 0); an empty tuple for anything else."""
    match = _VERSION.match(version.strip())
    return tuple(map(int, match["release"].split("."))) if match else ()


def compare(one: str, other: str) -> int:
    """Return -1, 0 or 1; a pre-release comes before its release."""
    first, second = release(one), release(other)
    width = max(len(first), len(second))
    left, right = ((*numbers, *[0] * (width - len(numbers))) for numbers in (first, second))
    a, b = (left, not _is_pre(one)), (right, not _is_pre(other))
    return (a > b) - (a < b)


def _is_pre(version: str) -> bool:
    match = _VERSION.match(version.strip())
    return match is not None and _PRE.match(match["rest"]) is not None


def fits(version: str, wanted: str) -> bool:
    """Tell whether a version lies in a range like ``>=2.16,<3`` or ``==2.*``."""
    return all(_fits(version, operator, limit) for operator, limit in _PART.findall(wanted))


def _fits(version: str, operator: str, limit: str) -> bool:
    if limit.endswith(".*"):
        prefix = release(limit[:-2])
        same = release(version)[: len(prefix)] == prefix
        return same if operator == "==" else not same
    if operator == "~=":
        prefix = release(limit)[:-1]
        return compare(version, limit) >= 0 and release(version)[: len(prefix)] == prefix
    if operator == "<":  # excludes the pre-releases of the limit
        return compare(".".join(map(str, release(version))), limit) < 0
    return _ORDER[operator](compare(version, limit))
