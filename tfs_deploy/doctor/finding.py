"""What ``doctor`` says: one finding a question, each with an id that scripts can rely on."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class Level(enum.Enum):
    """How a question was answered; ``SKIPPED`` says why it does not arise or could not be asked."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer: ``id`` is stable, ``detail`` what was found, ``hint`` what to do about it."""

    id: str
    level: Level
    detail: str
    hint: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"id": self.id, "level": self.level.value, "detail": self.detail, "hint": self.hint}


def ok(name: str, detail: str) -> Finding:
    """Return a finding that asks for nothing."""
    return Finding(name, Level.OK, detail)


def warning(name: str, detail: str, hint: str) -> Finding:
    """Return a finding that works and may surprise."""
    return Finding(name, Level.WARNING, detail, hint)


def problem(name: str, detail: str, hint: str) -> Finding:
    """Return a finding that keeps something from working."""
    return Finding(name, Level.PROBLEM, detail, hint)


def skipped(name: str, detail: str, hint: str | None = None) -> Finding:
    """Return why a question was not asked."""
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
