# SPDX-License-Identifier: Apache-2.0
"""The result of a verification as plain values: the versions, every check, and the evidence for the report."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfs_deploy import __version__
from tfs_deploy.savedmodel.formats.checked_json import with_checksum
from tfs_deploy.store.verdict import KIND, SCHEMA_VERSION
from tfs_deploy.verify.checks import CheckStatus

if TYPE_CHECKING:
    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.savedmodel.lint.policy import Policy
    from tfs_deploy.store.identity import Identity
    from tfs_deploy.verify.checks import Check
    from tfs_deploy.verify.measure.load_test_result import LoadTestResult
    from tfs_deploy.verify.subjects import Subject


@dataclass(frozen=True, slots=True)
class ValueDifference:
    """The largest difference of one output between two transports, and the largest ``allowed``."""

    model: str
    target: str
    about: str
    between: str
    output: str
    largest: float
    allowed: float


@dataclass(slots=True)
class Evidence:
    """What the report shows beside the checks: signatures by model, value differences, load tests."""

    signatures: dict[str, dict[str, SignatureInfo]] = field(default_factory=dict)
    differences: list[ValueDifference] = field(default_factory=list)
    load_tests: list[LoadTestResult] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a verification; ``identities``: one for each subject, ``None`` if its files cannot be read."""

    subjects: tuple[Subject, ...]
    identities: tuple[Identity | None, ...]
    targets: tuple[str, ...]
    checks: tuple[Check, ...]
    evidence: Evidence
    created_at: str
    seconds: float
    excluded_checks: tuple[str, ...] = ()
    policy: Policy | None = None

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.failed)

    @property
    def first_failed(self) -> Check | None:
        """The first check that failed."""
        return next(iter(self.failed), None)

    @property
    def ok(self) -> bool:
        """Whether something was proven and nothing failed."""
        return not self.failed and any(check.status is CheckStatus.PASSED for check in self.checks)

    def count(self, status: CheckStatus) -> int:
        """Return the number of checks with this status."""
        return sum(check.status is status for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict document."""
        first = self.first_failed
        document = {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "ok": self.ok,
            "created_at": self.created_at,
            "tfs_deploy_version": __version__,
            "seconds": round(self.seconds, 3),
            "targets": list(self.targets),
            "left_out": list(self.excluded_checks),
            "policy": None if self.policy is None else self.policy.as_dict(),
            "models": [
                self._model(subject, identity) for subject, identity in zip(self.subjects, self.identities, strict=True)
            ],
            "counts": {status.value: self.count(status) for status in CheckStatus},
            "first_failed": None if first is None else {"id": first.id, "model": first.model, "reason": first.reason},
            "checks": [check.as_dict() for check in self.checks],
            "load_tests": [result.as_dict() for result in self.evidence.load_tests],
        }
        return with_checksum(document)

    def _model(self, subject: Subject, identity: Identity | None) -> dict[str, Any]:
        own = [check for check in self.checks if check.model == str(subject)]
        return {
            "name": subject.name,
            "version": subject.version,
            "path": str(subject.path),
            **({"digest": None, "digest_of": None} if identity is None else identity.as_dict()),
            "baseline": None if subject.baseline is None else str(subject.baseline),
            "ok": identity is not None and bool(own) and not any(check.failed for check in own),
        }
