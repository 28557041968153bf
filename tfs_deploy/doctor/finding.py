# SPDX-License-Identifier: Apache-2.0
"""What ``doctor`` reports: one finding per check, each with an id that scripts can rely on."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class Level(enum.Enum):
    """The result of a check; ``SKIPPED`` means that it does not apply or could not be made."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check: ``id`` is stable, ``detail`` what was found, ``hint`` what to do about it."""

    id: str
    level: Level
    detail: str
    hint: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"id": self.id, "level": self.level.value, "detail": self.detail, "hint": self.hint}


def ok(name: str, detail: str) -> Finding:
    """Return the finding of a check that passed."""
    return Finding(name, Level.OK, detail)


def warning(name: str, detail: str, hint: str) -> Finding:
    """Return a finding about something that works but may cause trouble."""
    return Finding(name, Level.WARNING, detail, hint)


def problem(name: str, detail: str, hint: str) -> Finding:
    """Return a finding about something that keeps a server from working."""
    return Finding(name, Level.PROBLEM, detail, hint)


def skipped(name: str, detail: str, hint: str | None = None) -> Finding:
    """Return the finding of a check that was not made, with the reason."""
    return Finding(name, Level.SKIPPED, detail, hint)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All findings, in the order in which they are shown."""

    findings: tuple[Finding, ...]

    @property
    def problems(self) -> tuple[Finding, ...]:
        """Those that keep something from working."""
        return tuple(found for found in self.findings if found.level is Level.PROBLEM)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        counts = {level.value: sum(found.level is level for found in self.findings) for level in Level}
        return {"ok": not self.problems, "counts": counts, "findings": [found.as_dict() for found in self.findings]}
