# SPDX-License-Identifier: Apache-2.0
"""Group ``files``: what can be checked in the files of a version, without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import ModelError, VerdictError
from tfs_deploy.savedmodel.contract import Compatibility
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.lint import Severity
from tfs_deploy.savedmodel.review import (
    DAMAGED_VARIABLE,
    NO_GOLDENS,
    NO_MANIFEST,
    Accepts,
    review_contract,
    review_files,
    review_goldens,
    review_lint,
)
from tfs_deploy.store.signing.trust import require_signed, require_trusted
from tfs_deploy.verify.checks import Judgement, failed, passed, skipped

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.savedmodel.inspect import SavedModelInfo
    from tfs_deploy.savedmodel.lint import ServerTraits
    from tfs_deploy.savedmodel.review import Remark, Review
    from tfs_deploy.verify.checks import Checker
    from tfs_deploy.verify.subjects import Subject

#: lint rules about the versions beside this one, and the one that ``files.manifest`` covers
_NOT_HERE: Final = ("TFS4", "TFS304")
#: what is skipped rather than failed, and TFS111: the group ``smoke`` makes those calls, and Predict answers signatures
#: for Classify and Regress all the same, such as those of TensorFlow Serving's own half_plus_two, which take numbers
_ACCEPTS: Final = Accepts(frozenset({NO_MANIFEST, NO_GOLDENS, "TFS111"}))
_NOT_CARRIED: Final = ("resource", "variant")


def verify_files(
    checker: Checker,
    subject: Subject,
    ignore: Sequence[str] = (),
    server: ServerTraits | None = None,
    trust: Sequence[Path] = (),
    revoked: Collection[str] = (),
) -> SavedModelInfo | None:
    """Check the files of one version and return its description; ``None`` if they cannot be read.

    ``ignore``: lint rules that are not applied; ``server``: what is known of the server that the version is for;
    ``trust``: PEM files of the keys, one of which must have signed the version; ``revoked``: digests that are refused.
    """
    found: list[SavedModelInfo] = []

    def read() -> Judgement:
        info = inspect_model(subject.path)
        require_dtypes(info.signatures)
        found.append(info)
        return passed(
            f"{len(info.signatures)} signature{'s' * (len(info.signatures) != 1)}",
            float(len(info.signatures)),
            "signatures",
        )

    # everything else needs the description, so the files are read even if this check is excluded
    if checker.check("files.readable", "", read) is None:
        read()
    if not found:
        return None
    (info,) = found
    checker.check("files.manifest", "", lambda: judge_files(review_files(info)))
    if trust or revoked:
        checker.check("files.signature", "", lambda: judge_signature(subject.path, trust, revoked))
    checker.check("files.lint", "", lambda: judge_lint(review_lint(info, ignore=(*_NOT_HERE, *ignore), server=server)))
    checker.check("files.goldens", "", lambda: judge_goldens(review_goldens(info)))
    if subject.baseline is None:
        checker.record("files.contract", "", skipped("no baseline was given: --baseline VERSION"))
    else:
        baseline = subject.baseline
        checker.check(
            "files.contract",
            f"against {baseline}",
            lambda: judge_contract(review_contract(info, inspect_model(baseline))),
        )
    return info


def require_dtypes(signatures: Mapping[str, SignatureInfo]) -> None:
    """Raise ``ModelError`` for a tensor that no request or reply can carry."""
    for signature in signatures.values():
        for side, specs in (("input", signature.inputs), ("output", signature.outputs)):
            for name, spec in specs.items():
                if spec.dtype in _NOT_CARRIED:
                    raise ModelError(
                        f"signature '{signature.name}': {side} '{name}' is a {spec.dtype}, which no message can carry"
                    )


def judge_files(review: Review) -> Judgement:
    """Judge the files by the manifest, or without one the variables by TensorFlow's own checksums."""
    refused = _ACCEPTS.refused(review)
    if review.of(DAMAGED_VARIABLE):
        return failed(f"{refused[0]}{_more(len(refused))}", float(len(refused)), "variables")
    if refused:
        return failed(f"changed since the export: {refused[0]}{_more(len(refused))}", float(len(refused)), "files")
    if review.of(NO_MANIFEST):
        return skipped("there is no manifest to check the files by; the variables match TensorFlow's checksums")
    return passed(f"{review.examined} files are as exported", float(review.examined), "files")


def judge_signature(version_dir: Path, trust: Sequence[Path], revoked: Collection[str] = ()) -> Judgement:
    """Judge who signed the files, and whether they are revoked."""
    try:
        require_trusted(version_dir, (), revoked)
        return passed(f"signed by {require_signed(version_dir, trust)}" if trust else "not revoked")
    except VerdictError as error:
        return failed(error.message)


def judge_lint(review: Review) -> Judgement:
    """Judge what lint found: errors fail, warnings are counted."""
    refused = _ACCEPTS.refused(review)
    if refused:
        first = refused[0]
        where = f" {first.where}" if first.where else ""
        return failed(f"{first.code}{where}: {first.message}{_more(len(refused))}", float(len(refused)), "errors")
    accepted = [remark for remark in review.remarks if remark.severity is not Severity.INFO]
    if accepted:
        first = accepted[0]
        return passed(
            f"no errors; {first.code}: {first.message}{_more(len(accepted))}",
            float(len(accepted)),
            "warnings",
        )
    return passed("no errors, no warnings", 0.0, "errors")


def judge_goldens(review: Review) -> Judgement:
    """Judge whether the recorded answers belong to signatures that the model has."""
    refused = _ACCEPTS.refused(review)
    if refused:
        return failed(f"answers were recorded for {refused[0].where}, which the model does not have")
    if review.of(NO_GOLDENS):
        return skipped("no answers were recorded: export with examples to have them compared")
    return passed(f"{review.examined} recorded answers", float(review.examined), "answers")


def judge_contract(review: Review) -> Judgement:
    """Judge what changed for callers of the baseline."""
    refused = _ACCEPTS.refused(review)
    if refused:
        return failed(
            f"{_where(refused[0])}: {refused[0].message}{_more(len(refused))}", float(len(refused)), "changes"
        )
    worst = min(review.remarks, key=lambda remark: remark.severity.rank, default=None)
    verdict = Compatibility.COMPATIBLE.value if worst is None else worst.code
    return passed(f"{verdict}: {review.examined} changes", float(review.examined), "changes")


def _where(remark: Remark) -> str:
    """Name the signature and the tensor, or the tag set."""
    first, *rest = remark.places
    return first if first.startswith("tag set ") else ", ".join([f"signature '{first}'", *rest])


def _more(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""
