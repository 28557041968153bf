# SPDX-License-Identifier: Apache-2.0
"""The results of smoke checks, as plain values."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence


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


#: the name of the check that tells which version answers
ANSWERS: Final = "answers"
#: what a check says whose version has no recorded answers, and one whose answer is as recorded
NO_RECORDED: Final = "no recorded answers"
AS_RECORDED: Final = "as recorded"
#: what follows ``NO_RECORDED`` where the model refuses what is made up
MADE_UP_REFUSED: Final = "made-up inputs were refused"


def counted_checks(checks: Sequence[SmokeCheck]) -> str:
    """Sum up the checks of signatures: how many are ok, as recorded or made up, were skipped and why, and failed."""
    asked = [check for check in checks if check.name != ANSWERS]
    ok = [check for check in asked if check.outcome is Outcome.OK]
    recorded = sum(check.detail == AS_RECORDED for check in ok)
    skipped = [check for check in asked if check.outcome is Outcome.SKIPPED]
    refused = sum(MADE_UP_REFUSED in check.detail for check in skipped)
    parts = []
    if recorded:
        parts.append(f"{counted(recorded, 'answer')} as recorded")
    if len(ok) > recorded:
        parts.append(f"{counted(len(ok) - recorded, 'answer')} to made-up inputs, which nothing recorded confirms")
    if refused:
        parts.append(f"{refused} skipped because {MADE_UP_REFUSED}")
    if len(skipped) > refused:
        parts.append(f"{len(skipped) - refused} skipped")
    return ", ".join(parts) or NO_RECORDED


def skipped_notes(checks: Sequence[SmokeCheck]) -> list[str]:
    """Return a note for each reason why checks were skipped, with how many more it stands for."""
    reasons: dict[str, list[SmokeCheck]] = {}
    for check in checks:
        if check.outcome is Outcome.SKIPPED:
            reasons.setdefault(check.detail, []).append(check)
    more = {detail: f" (and {len(found) - 1} more)" if len(found) > 1 else "" for detail, found in reasons.items()}
    return [f"{found[0]}{more[detail]}" for detail, found in reasons.items()]


def summary(checks: Sequence[SmokeCheck]) -> str:
    """Sum up a report in one line: signatures, models, and how their checks ended over every label and transport."""
    asked = [check for check in checks if check.name != ANSWERS]
    signatures = {(check.model, check.name.partition(" #")[0]) for check in asked}
    models = {check.model for check in checks}
    failed = sum(check.failed for check in checks)
    about = f"{counted(len(signatures), 'signature')} of {counted(len(models), 'model')}"
    return f"{about}: {counted_checks(checks)}, {failed} failed"


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
