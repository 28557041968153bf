# SPDX-License-Identifier: Apache-2.0
"""Conditions on a number, ``$.data.ctr >= 0.1``: where it is in a JSON document and how it compares. Pure."""

from __future__ import annotations

import functools
import math
import operator
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION: Final = re.compile(r"(.*\S)\s*(<=|>=|==|!=|<|>)\s*([-+0-9.eE]+)\s*", re.DOTALL)
_STEP: Final = re.compile(r"\.([A-Za-z_][\w-]*)|\[(\d+)\]|\[\"([^\"]*)\"\]|\['([^']*)'\]")


@dataclass(frozen=True, slots=True)
class Condition:
    """A comparison that a number has to satisfy: ``value OPERATOR limit``; ``subject`` says which number."""

    subject: str
    operator: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Condition:
        """Read ``SUBJECT OPERATOR NUMBER``; the last operator in the text counts. Raises ``UsageError``."""
        match = _CONDITION.fullmatch(text)
        try:
            if match is not None and math.isfinite(limit := float(match[3])):
                return cls(match[1].strip(), match[2], limit)
        except ValueError:
            pass
        raise UsageError(f"{text!r} does not end with a comparison", hint="for example: ... < 0.01")

    def holds(self, value: float) -> bool:
        """Whether a number satisfies the comparison; NaN never does."""
        return not math.isnan(value) and _OPERATORS[self.operator](value, self.limit)

    def __str__(self) -> str:
        return f"{self.operator} {self.limit:g}"


def number_at(document: Any, path: str) -> float:
    """Return the number at a path such as ``$.data[0].ctr``; raises ``UnavailableError`` if there is none."""
    steps: list[Any] = [document, *path_steps(path)]
    try:
        value = functools.reduce(operator.getitem, steps)
    except (KeyError, IndexError, TypeError):
        raise UnavailableError(f"the document has nothing at {path}") from None
    try:
        if not isinstance(value, bool) and math.isfinite(number := float(value)):
            return number
    except (TypeError, ValueError):
        pass
    raise UnavailableError(f"{value!r} at {path} is not a number")


def path_steps(path: str) -> list[str | int]:
    """Return the keys and indices of a path; raises ``UsageError`` for an invalid one."""
    text = path.strip().removeprefix("$")
    steps: list[str | int] = []
    place = 0
    while place < len(text):
        match = _STEP.match(text, place)
        if match is None:
            raise UsageError(f"{path!r} is not a valid JSON path", hint='for example $.data[0].ctr or $["a b"]')
        name, index, double, single = match.groups()
        steps.append(int(index) if index is not None else next(s for s in (name, double, single) if s is not None))
        place = match.end()
    return steps
