"""What a verification reports: checks with stable ids, each passed, failed or skipped, and why."""

from __future__ import annotations

import enum
import math
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import LaunchError, ModelError, RequestError, StatusError, UsageError
from tfs_deploy.text import did_you_mean, one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: characters of a reason; what is longer is cut
_REASON_LENGTH: Final = 400

#: group -> what it asks, in the order in which the groups run; a check's id is ``GROUP.NAME``
GROUPS: Final[dict[str, str]] = {
    "files": "the files: as exported, clean, no surprise for callers of the baseline",
    "load": "the server loads them, at the first try",
    "smoke": "every signature answers, as recorded where answers were recorded",
    "behaviour": "the same answer twice, alone and in a batch; finite; labels in one order",
    "parity": "the model in this machine's TensorFlow, gRPC and REST give the same",
    "refusals": "requests that are wrong are refused, and nothing breaks by them",
    "data": "a data set reaches its metrics on served answers",
    "load-test": "latency, throughput, memory and processor stay within budgets",
}


class Status(enum.Enum):
    """How a check ended; a skipped one proves nothing, and says why."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a check found: one line why, and the value it measured in ``unit``, if it measured one."""

    status: Status
    reason: str
    measured: float | None = None
    unit: str = ""


def passed(reason: str, measured: float | None = None, unit: str = "") -> Judgement:
    """Return the judgement of a check that holds."""
    return Judgement(Status.PASSED, reason, measured, unit)


def failed(reason: str, measured: float | None = None, unit: str = "") -> Judgement:
    """Return the judgement of a check that does not hold."""
    return Judgement(Status.FAILED, reason, measured, unit)


def skipped(reason: str) -> Judgement:
    """Return the judgement of a check that could not be made, or was not to be."""
    return Judgement(Status.SKIPPED, reason)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: ``id`` is stable, ``model`` and ``about`` say what was looked at, ``target`` on which server."""

    id: str
    model: str
    about: str
    target: str
    status: Status
    reason: str
    measured: float | None = None
    unit: str = ""
    seconds: float = 0.0

    @property
    def group(self) -> str:
        """The first part of the id."""
        return self.id.partition(".")[0]

    @property
    def failed(self) -> bool:
        """Whether it says no."""
        return self.status is Status.FAILED

    def __str__(self) -> str:
        where = ", ".join(part for part in (self.model, self.about, self.target) if part)
        return f"{self.id} ({where}): {self.reason}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "id": self.id,
            "model": self.model,
            "about": self.about,
            "target": self.target,
            "status": self.status.value,
            "reason": self.reason,
            # JSON has no NaN and no infinity
            "measured": self.measured if self.measured is None or math.isfinite(self.measured) else None,
            "unit": self.unit,
            "seconds": round(self.seconds, 6),
        }


@dataclass(frozen=True, slots=True)
class Examiner:
    """Makes checks and hands each to ``sink``; ``left_out`` are ids, or groups, of checks that are not to be made."""

    sink: Callable[[Check], None]
    model: str = ""
    target: str = ""
    left_out: frozenset[str] = field(default=frozenset())

    def of(self, *, model: str | None = None, target: str | None = None) -> Examiner:
        """Return an examiner of another model, or on another server."""
        return replace(
            self, model=self.model if model is None else model, target=self.target if target is None else target
        )

    def wants(self, identity: str) -> bool:
        """Whether a check, or any of a group, is to be made."""
        return identity not in self.left_out and identity.partition(".")[0] not in self.left_out

    def check(self, identity: str, about: str, judge: Callable[[], Judgement]) -> Check | None:
        """Make one check and time it; ``None`` if it is left out.

        An answer of the server or a damaged file is the check's own failure. What is wrong with this machine or the
        command line is not, and is raised.
        """
        if not self.wants(identity):
            return None
        started = time.perf_counter()
        try:
            judgement = judge()
        except (StatusError, ModelError, RequestError, LaunchError) as error:
            judgement = failed(one_line(error.message, most=_REASON_LENGTH))
        return self.tell(identity, about, judgement, time.perf_counter() - started)

    def tell(self, identity: str, about: str, judgement: Judgement, seconds: float = 0.0) -> Check | None:
        """Report a check whose judgement is known."""
        if not self.wants(identity):
            return None
        made = Check(
            *(
                identity,
                self.model,
                about,
                self.target,
                judgement.status,
                one_line(judgement.reason, most=_REASON_LENGTH),
            ),
            *(judgement.measured, judgement.unit, seconds),
        )
        self.sink(made)
        return made


def left_out(skip: Iterable[str], only: Iterable[str] = ()) -> frozenset[str]:
    """Return the checks that are not made: ``skip``, and with ``only`` all groups but those named there.

    Raises ``UsageError`` for a name of no group.
    """
    chosen = _known(only)
    return _known(skip) | (GROUPS.keys() - chosen if chosen else frozenset())


def _known(names: Iterable[str]) -> frozenset[str]:
    found = frozenset(names)
    for name in sorted(found):
        if name.partition(".")[0] not in GROUPS:
            hint = did_you_mean(name.partition(".")[0], GROUPS, otherwise=f"groups: {', '.join(GROUPS)}")
            raise UsageError(f"there is no check '{name}'", hint=hint)
    return found
