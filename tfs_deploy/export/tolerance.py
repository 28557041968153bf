"""How far the written model may be from the original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DEFAULT_RTOL: Final = 1e-4
DEFAULT_ATOL: Final = 1e-5


@dataclass(frozen=True)
class Tolerance:
    """Values are equal within ``atol + rtol * |original|``; integers, bools and strings exactly."""

    rtol: float = DEFAULT_RTOL
    atol: float = DEFAULT_ATOL

    def of(self, signature: str) -> tuple[float, float]:
        """Return ``(rtol, atol)`` for a signature."""
        del signature
        return self.rtol, self.atol
