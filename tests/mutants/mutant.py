# SPDX-License-Identifier: Apache-2.0
"""One change of one file, and the tests that must notice it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """``old`` is replaced by ``new``: at byte ``at`` of the file, or in the one place where the file has it."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    at: int | None = None

    def apply(self, source: bytes) -> bytes:
        """Return the file with the change; ``ValueError`` if it has no such place, or several."""
        old, new = self.old.encode(), self.new.encode()
        if self.at is None and source.count(old) != 1:
            raise ValueError(f"{self.name}: {self.file} has {source.count(old)} times:\n{self.old}")
        at = source.index(old) if self.at is None else self.at
        return source[:at] + new + source[at + len(old) :]
