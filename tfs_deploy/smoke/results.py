# SPDX-License-Identifier: Apache-2.0
"""The results of smoke checks, as plain values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class Outcome(enum.Enum):
    """How a check ended; a skipped check proves nothing."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Target:
    """What to call: a label, with the version that should answer if that is known, or a version by number."""

    label: str | None = None
    version: int | None = None

    def __str__(self) -> str:
        return f"label {self.label}" if self.label is not None else f"version {self.version}"


@dataclass(frozen=True, slots=True)
class SmokeCheck:
    """One check of the server.

    ``name`` is ``answers`` for the version check, else the signature (``serving_default #2`` for its second recorded
    call); ``version`` is the one that answered; ``seconds`` is how long the call took; ``retriable`` marks a failure
    that is not the model's, such as a server too busy to answer.
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
        """The first check that failed."""
        return next(iter(self.failed), None)

    @property
    def ok(self) -> bool:
        """Whether there were checks and none failed."""
        return bool(self.checks) and not self.failed

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"ok": self.ok, "checks": [check.as_dict() for check in self.checks]}
