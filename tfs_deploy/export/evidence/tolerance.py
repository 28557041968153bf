# SPDX-License-Identifier: Apache-2.0
"""Numeric tolerance between the answers of the written model and the original."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import did_you_mean

DEFAULT_RTOL: Final = 1e-4
DEFAULT_ATOL: Final = 1e-5


@dataclass(frozen=True)
class Tolerance:
    """Values are equal within ``atol + rtol * |original|``; integers, bools and strings exactly.

    Both are one number, or numbers by output name with the default for the others.
    """

    rtol: float | Mapping[str, float] = DEFAULT_RTOL
    atol: float | Mapping[str, float] = DEFAULT_ATOL

    def __post_init__(self) -> None:
        for value in (self.rtol, self.atol):
            for number in value.values() if isinstance(value, Mapping) else [value]:
                if not (isinstance(number, (int, float)) and number >= 0):
                    raise UsageError(
                        f"{number!r} is not a valid tolerance", hint="give a number of 0 or more, such as 1e-5"
                    )

    def of(self, output: str) -> tuple[float, float]:
        """Return ``(rtol, atol)`` of an output."""
        return _of(self.rtol, output, DEFAULT_RTOL), _of(self.atol, output, DEFAULT_ATOL)

    def check_outputs(self, known: set[str]) -> None:
        """Raise ``UsageError`` if a tolerance names an output that no example has."""
        for value in (self.rtol, self.atol):
            for name in value if isinstance(value, Mapping) else ():
                if name not in known:
                    raise UsageError(f"a tolerance names the unknown output {name!r}", hint=did_you_mean(name, known))


def _of(value: float | Mapping[str, float], output: str, default: float) -> float:
    return float(value.get(output, default) if isinstance(value, Mapping) else value)
