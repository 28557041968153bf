# SPDX-License-Identifier: Apache-2.0
"""The one judge of a version's files: what speaks against serving a version, as plain values.

Export, ``publish``, ``inspect --check``, ``verify`` and rollouts all ask here. Each names what it accepts
(``Accepts``) and words the rest in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.contract import Compatibility, diff_models
from tfs_deploy.savedmodel.formats.bundle import verify_bundle
from tfs_deploy.savedmodel.goldens import read_goldens
from tfs_deploy.savedmodel.lint import RULES, ServerTraits, Severity, lint_model
from tfs_deploy.savedmodel.manifest import read_manifest, verify_manifest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tfs_deploy.savedmodel.inspect import SavedModelInfo
    from tfs_deploy.savedmodel.lint import Finding

#: codes of remarks; those about lint carry the id of their rule (``LINT_CODES``), those about the contract the value of
#: their ``Compatibility``
NO_MANIFEST: Final = "no-manifest"
NOT_AS_EXPORTED: Final = "not-as-exported"
DAMAGED_VARIABLE: Final = "damaged-variable"
NO_GOLDENS: Final = "no-goldens"
GOLDENS_WITHOUT_SIGNATURE: Final = "goldens-without-signature"
NO_WARMUP: Final = "no-warmup"
BREAKING: Final = Compatibility.BREAKING.value
LINT_CODES: Final = frozenset(rule.id for rule in RULES)

_SEVERITIES: Final = {
    Compatibility.BREAKING: Severity.ERROR,
    Compatibility.ADDITION: Severity.WARNING,
    Compatibility.COMPATIBLE: Severity.INFO,
}


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a review found: its kind (``code``), the ``places`` from the outside in, and what is wrong."""

    code: str
    places: tuple[str, ...]
    message: str
    hint: str = ""
    severity: Severity = Severity.ERROR

    @property
    def where(self) -> str:
        """The places on one line."""
        return " ".join(self.places)

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.places else self.message


@dataclass(frozen=True, slots=True)
class Review:
    """What was found in one respect, and how many things (files, answers, requests, changes) were looked at."""

    remarks: tuple[Remark, ...] = ()
    examined: int = 0

    def of(self, code: str) -> list[Remark]:
        """Return the remarks of one kind."""
        return [remark for remark in self.remarks if remark.code == code]


@dataclass(frozen=True, slots=True)
class Accepts:
    """What a caller accepts: the codes of errors that do not keep it from going on."""

    codes: frozenset[str] = frozenset()

    def refused(self, review: Review) -> list[Remark]:
        """Return the errors that the caller does not accept."""
        return [r for r in review.remarks if r.severity is Severity.ERROR and r.code not in self.codes]

    def accepted(self, review: Review) -> list[Remark]:
        """Return the errors that the caller accepts."""
        return [r for r in review.remarks if r.severity is Severity.ERROR and r.code in self.codes]


def review_manifest(version_dir: Path, *, content: bool = True) -> Review:
    """Hash the files of a version and compare them with its manifest; ``ModelError`` if that cannot be understood.

    ``content``: false for a caller that compares the sums itself, while it reads the files.
    """
    manifest = read_manifest(version_dir)
    if manifest is None:
        message = "it does not exist, so there is nothing to check the files against"
        return Review((Remark(NO_MANIFEST, (str(version_dir / layout.MANIFEST),), message),))
    problems = verify_manifest(version_dir, content=content)
    return Review(
        tuple(Remark(NOT_AS_EXPORTED, (each.path,), f"{each.kind}, {each.detail}") for each in problems),
        len(manifest.files),
    )


def review_files(info: SavedModelInfo) -> Review:
    """Compare the files with the manifest; without one, the variables with TensorFlow's own checksums."""
    review = review_manifest(info.path)
    if not review.of(NO_MANIFEST) or info.bundle is None:
        return review
    damaged = tuple(
        Remark(DAMAGED_VARIABLE, (str(path),), f"the data of variable '{name}' does not match its checksum")
        for path, name in verify_bundle(info.bundle)
    )
    return Review(damaged or review.remarks, len(info.variables))


def review_lint(info: SavedModelInfo, *, ignore: Sequence[str] = (), server: ServerTraits | None = None) -> Review:
    """Apply the lint rules but those to ``ignore``; ``ModelError`` if a file is damaged."""
    return of_findings(lint_model(info, ignore=ignore, server=server))


def of_findings(findings: Sequence[Finding]) -> Review:
    """Return lint findings as a review."""
    return Review(
        tuple(
            Remark(each.rule, (each.where,) if each.where else (), each.message, each.hint, each.severity)
            for each in findings
        ),
        len(RULES),
    )


def review_goldens(info: SavedModelInfo) -> Review:
    """Read the recorded answers and look up their signatures; ``ModelError`` if they are damaged."""
    goldens = read_goldens(info.path)
    if not goldens:
        return Review((Remark(NO_GOLDENS, (), "no answers were recorded"),))
    unknown = sorted({golden.signature for golden in goldens} - info.signatures.keys())
    message = "answers were recorded for it, but the model does not have it"
    return Review(
        tuple(Remark(GOLDENS_WITHOUT_SIGNATURE, (f"signature '{name}'",), message) for name in unknown), len(goldens)
    )


def review_warmup(info: SavedModelInfo) -> Review:
    """Count the warmup requests; ``ModelError`` if their file is damaged."""
    if not info.warmup_records:
        return Review((Remark(NO_WARMUP, (), "there are no warmup requests"),))
    return Review((), info.warmup_records)


def review_contract(info: SavedModelInfo, baseline: SavedModelInfo) -> Review:
    """Compare the signatures with those of another version, for its callers: breaking changes are errors."""
    changes = diff_models(baseline, info).changes
    return Review(
        tuple(
            Remark(
                change.compatibility.value,
                tuple(filter(None, (change.signature, change.tensor))),
                change.message,
                severity=_SEVERITIES[change.compatibility],
            )
            for change in changes
        ),
        len(changes),
    )


def check_files(info: SavedModelInfo) -> list[str]:
    """Describe every file that is not what was written down about it, file first; nothing if all are.

    Raises:
        ModelError: there is no manifest, and the checksums that TensorFlow keeps of the variables show no damage, so
            the files cannot be called right or wrong.
    """
    review = review_files(info)
    if review.of(NO_MANIFEST):
        raise ModelError(
            f"{info.path / layout.MANIFEST} does not exist, so there is nothing to check the files against",
            hint="`tfs-deploy export` writes one; the variables at least match TensorFlow's own checksums",
        )
    return [str(remark) for remark in review.remarks]
