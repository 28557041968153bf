"""A whole verification as plain values: what was looked at, every check, and what the report draws."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfs_deploy import __version__
from tfs_deploy.store.verdict import KIND, SCHEMA_VERSION
from tfs_deploy.verify.checks import Status

if TYPE_CHECKING:
    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.store.identity import Identity
    from tfs_deploy.verify.checks import Check
    from tfs_deploy.verify.measure.measurements import Measured
    from tfs_deploy.verify.subjects import Subject


@dataclass(frozen=True, slots=True)
class Difference:
    """How far two ways of asking the same were apart, at most, for one output; ``allowed`` is what it may be."""

    model: str
    target: str
    about: str
    between: str
    output: str
    largest: float
    allowed: float


@dataclass(slots=True)
class Evidence:
    """What is shown beside the checks: signatures by model, differences of values, load tests."""

    signatures: dict[str, dict[str, SignatureInfo]] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verification:
    """The end of a verification: ``identities`` are those of the subjects, ``None`` where files cannot be read."""

    subjects: tuple[Subject, ...]
    identities: tuple[Identity | None, ...]
    targets: tuple[str, ...]
    checks: tuple[Check, ...]
    evidence: Evidence
    created_at: str
    seconds: float
    left_out: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that failed."""
        return tuple(check for check in self.checks if check.failed)

    @property
    def first_failed(self) -> Check | None:
        """The check to look at first."""
        return next(iter(self.failed), None)

    @property
    def ok(self) -> bool:
        """Whether something was proven and nothing failed."""
        return not self.failed and any(check.status is Status.PASSED for check in self.checks)

    def count(self, status: Status) -> int:
        """Return how many checks ended so."""
        return sum(check.status is status for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict document."""
        first = self.first_failed
        return {
            "kind": KIND,
            "schema_version": SCHEMA_VERSION,
            "ok": self.ok,
            "created_at": self.created_at,
            "tfs_deploy_version": __version__,
            "seconds": round(self.seconds, 3),
            "targets": list(self.targets),
            "left_out": list(self.left_out),
            "models": [
                self._model(subject, identity) for subject, identity in zip(self.subjects, self.identities, strict=True)
            ],
            "counts": {status.value: self.count(status) for status in Status},
            "first_failed": None if first is None else {"id": first.id, "model": first.model, "reason": first.reason},
            "checks": [check.as_dict() for check in self.checks],
            "load_tests": [measured.as_dict() for measured in self.evidence.measured],
        }

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
