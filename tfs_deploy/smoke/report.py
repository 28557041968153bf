"""What smoke checks report: plain values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class Outcome(enum.Enum):
    """How a check ended; a skipped one proves nothing, and says why."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Target:
    """What is asked: a label, with the version it should answer with if that is known, or a version by number."""

    label: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        return f"label {self.label}" if self.label is not None else f"version {self.version}"


@dataclass(frozen=True, slots=True)
class SmokeCheck:
    """One question to the server.

    ``name`` is ``answers`` for the version check, else the signature (``serving_default #2`` for its second recorded
    call); ``version`` is the one that answered; ``seconds`` is how long the call took; ``retriable`` marks a failure
    that says nothing of the model, such as a server that is too busy to answer.
    """

    model: str
    target: str
    transport: str
    name: str
    outcome: Outcome
    detail: str = ""
    version: int | None = None
    seconds: float = 0.0
    retriable: bool = False

    @property
    def failed(self) -> bool:
        """Whether the server's answer is wrong or missing."""
        return self.outcome is Outcome.FAILED

    def __str__(self) -> str:
        detail = f": {self.detail}" if self.detail else ""
        return f"{self.model} {self.target}, {self.transport} {self.name}: {self.outcome.value}{detail}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "model": self.model,
            "target": self.target,
            "transport": self.transport,
            "check": self.name,
            "outcome": self.outcome.value,
            "detail": self.detail,
            "version": self.version,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class SmokeReport:
    """All checks, in the order in which they were made."""

    checks: tuple[SmokeCheck, ...] = ()

    @property
    def failed(self) -> tuple[SmokeCheck, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.failed)

    @property
    def first_failed(self) -> SmokeCheck | None:
        """The check to look at first."""
        return next(iter(self.failed), None)

    @property
    def ok(self) -> bool:
        """Whether there were checks and none failed."""
        return bool(self.checks) and not self.failed

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"ok": self.ok, "checks": [check.as_dict() for check in self.checks]}
