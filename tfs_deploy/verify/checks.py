# SPDX-License-Identifier: Apache-2.0
"""The checks of a verification: stable ids, each passed, failed or skipped, with the reason."""

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

#: longest reason in characters; a longer one is cut
_REASON_LENGTH: Final = 400

#: group -> what it checks, in the order in which the groups run; a check's id is ``GROUP.NAME``.
#: A group NAME is the file ``groups/NAME.py`` (a long one has parts, ``groups/NAME_*.py``), called in ``run``.
GROUPS: Final[dict[str, str]] = {
    "files": "the files: unchanged since the export, free of lint errors, compatible with the baseline",
    "policy": "the version keeps the policy of --policy",
    "load": "the server loads the version at the first try",
    "smoke": "every signature answers, and as recorded where answers were recorded",
    "behaviour": "the same answer twice, alone and in a batch; finite numbers; labels in one order",
    "parity": "gRPC, REST and this machine's TensorFlow give the same answers",
    "refusals": "invalid requests are refused and do no harm",
    "data": "served answers to a data set reach its metrics",
    "load-test": "latency, throughput, memory and CPU stay within their budgets",
}


class CheckStatus(enum.Enum):
    """How a check ended; a skipped check proves nothing."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result of a check: its status, the reason in one line, and the value measured in ``unit``, if any."""

    status: CheckStatus
    reason: str
    measured: float | None = None
    unit: str = ""


def passed(reason: str, measured: float | None = None, unit: str = "") -> Judgement:
    """Return the judgement of a check that holds."""
    return Judgement(CheckStatus.PASSED, reason, measured, unit)


def failed(reason: str, measured: float | None = None, unit: str = "") -> Judgement:
    """Return the judgement of a check that does not hold."""
    return Judgement(CheckStatus.FAILED, reason, measured, unit)


def skipped(reason: str) -> Judgement:
    """Return the judgement of a check that was not made."""
    return Judgement(CheckStatus.SKIPPED, reason)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: ``id`` is stable, ``model`` and ``about`` say what was checked, ``target`` on which server."""

    id: str
    model: str
    about: str
    target: str
    status: CheckStatus
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
        """Whether the check failed."""
        return self.status is CheckStatus.FAILED

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
class Checker:
    """Makes checks and hands each to ``sink``; ``excluded_checks``: ids and groups of checks that are not made."""

    sink: Callable[[Check], None]
    model: str = ""
    target: str = ""
    excluded_checks: frozenset[str] = field(default=frozenset())

    def of(self, *, model: str | None = None, target: str | None = None) -> Checker:
        """Return a checker of another model, or on another server."""
        return replace(
            self, model=self.model if model is None else model, target=self.target if target is None else target
        )

    def wants(self, identity: str) -> bool:
        """Return whether a check, or any check of a group, is to be made."""
        return identity not in self.excluded_checks and identity.partition(".")[0] not in self.excluded_checks

    def check(self, identity: str, about: str, judge: Callable[[], Judgement], seconds: float = 0.0) -> Check | None:
        """Make one check, time it and return it; ``None`` if it is excluded. ``seconds``: it has taken before.

        An error of the server or a damaged file fails the check. Errors of this machine or of the command line are
        raised.
        """
        if not self.wants(identity):
            return None
        started = time.perf_counter()
        try:
            judgement = judge()
        except (StatusError, ModelError, RequestError, LaunchError) as error:
            judgement = failed(one_line(error.message, most=_REASON_LENGTH))
        return self.record(identity, about, judgement, seconds + time.perf_counter() - started)

    def record(self, identity: str, about: str, judgement: Judgement, seconds: float = 0.0) -> Check | None:
        """Report a check whose judgement is known and return it; ``None`` if it is excluded."""
        if not self.wants(identity):
            return None
        made = Check(
            id=identity,
            model=self.model,
            about=about,
            target=self.target,
            status=judgement.status,
            reason=one_line(judgement.reason, most=_REASON_LENGTH),
            measured=judgement.measured,
            unit=judgement.unit,
            seconds=seconds,
        )
        self.sink(made)
        return made


def excluded_checks(skip: Iterable[str], only: Iterable[str] = ()) -> frozenset[str]:
    """Return the checks that are not made: ``skip``, and with ``only`` every group that it does not name.

    Raises ``UsageError`` for an unknown check or group.
    """
    chosen = _known(only)
    return _known(skip) | (GROUPS.keys() - chosen if chosen else frozenset())


def _known(names: Iterable[str]) -> frozenset[str]:
    found = frozenset(names)
    for name in sorted(found):
        if name.partition(".")[0] not in GROUPS:
            hint = did_you_mean(name.partition(".")[0], GROUPS, otherwise=f"groups: {', '.join(GROUPS)}")
            raise UsageError(f"unknown check: {name}", hint=hint)
    return found
