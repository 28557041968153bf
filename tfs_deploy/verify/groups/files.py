"""Group ``files``: what can be told of a version without a server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.contract import diff_models
from tfs_deploy.savedmodel.goldens import read_goldens
from tfs_deploy.savedmodel.inspect import damaged_variables, inspect_model
from tfs_deploy.savedmodel.lint import Severity, lint_model
from tfs_deploy.savedmodel.manifest import verify_manifest
from tfs_deploy.verify.checks import Judgement, Status, failed, passed, skipped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.savedmodel.contract import ModelDiff
    from tfs_deploy.savedmodel.inspect import SavedModelInfo
    from tfs_deploy.savedmodel.lint import Finding
    from tfs_deploy.verify.checks import Examiner
    from tfs_deploy.verify.subjects import Subject

#: lint rules about other versions beside this one, and about what ``files.manifest`` asks anyway
_NOT_HERE: Final = ("TFS4", "TFS304")
#: errors about calls that are made, or cannot be: Predict answers signatures for Classify and Regress all the same, as
#: those of TensorFlow Serving's own half_plus_two that take numbers
_ASKED_LATER: Final = ("TFS111",)
_NOT_CARRIED: Final = ("resource", "variant")


def examine_files(examiner: Examiner, subject: Subject, ignore: Sequence[str] = ()) -> SavedModelInfo | None:
    """Make the checks of one version; ``ignore`` are lint rules. Returns ``None`` if there is nothing to serve."""
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

    # what everything else needs is read whether or not it is reported
    examiner_of_all = examiner if examiner.wants("files.readable") else None
    check = examiner_of_all.check("files.readable", "", read) if examiner_of_all else None
    if check is None and not found:
        read()
    if not found:
        return None
    (info,) = found
    examiner.check("files.manifest", "", lambda: judge_manifest(info))
    examiner.check("files.lint", "", lambda: judge_lint(lint_model(info, ignore=(*_NOT_HERE, *ignore))))
    examiner.check("files.goldens", "", lambda: judge_goldens(info))
    if subject.baseline is None:
        examiner.tell("files.contract", "", skipped("there is no baseline: --baseline VERSION"))
    else:
        baseline = subject.baseline
        examiner.check(
            "files.contract", f"against {baseline}", lambda: judge_contract(diff_models(inspect_model(baseline), info))
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


def judge_manifest(info: SavedModelInfo) -> Judgement:
    """Judge the files by the manifest, or without one the variables by TensorFlow's own checksums."""
    if info.manifest is not None:
        problems = verify_manifest(info.path)
        count = len(info.manifest.files)
        if problems:
            return failed(f"not as exported: {problems[0]}{_more(len(problems))}", float(len(problems)), "files")
        return passed(f"{count} files are as exported", float(count), "files")
    damaged = damaged_variables(info.bundle) if info.bundle else []
    if damaged:
        return failed(f"{damaged[0]}{_more(len(damaged))}", float(len(damaged)), "variables")
    return skipped("there is no manifest to check the files against; variables match TensorFlow's own checksums")


def judge_lint(findings: Sequence[Finding]) -> Judgement:
    """Judge what lint found: errors fail, the rest is counted."""
    errors = [each for each in findings if each.severity is Severity.ERROR and each.rule not in _ASKED_LATER]
    if errors:
        first = errors[0]
        where = f" {first.where}" if first.where else ""
        reason = f"{first.rule}{where}: {first.message}{_more(len(errors))}"
        return Judgement(Status.FAILED, reason, float(len(errors)), "errors")
    warnings = [each for each in findings if each.severity in (Severity.ERROR, Severity.WARNING)]
    if warnings:
        first = warnings[0]
        return passed(
            f"nothing that keeps it from serving; {first.rule}: {first.message}{_more(len(warnings))}",
            float(len(warnings)),
            "warnings",
        )
    return passed("nothing found", 0.0, "errors")


def judge_goldens(info: SavedModelInfo) -> Judgement:
    """Judge whether recorded answers can be read and belong to signatures that there are."""
    goldens = read_goldens(info.path)
    if not goldens:
        return skipped("no answers were recorded: export with examples to have them compared")
    strangers = sorted({golden.signature for golden in goldens} - info.signatures.keys())
    if strangers:
        return failed(f"answers were recorded for signature '{strangers[0]}', which the model does not have")
    return passed(f"{len(goldens)} recorded answers", float(len(goldens)), "answers")


def judge_contract(diff: ModelDiff) -> Judgement:
    """Judge what changed for callers of the baseline."""
    if diff.breaking:
        first = diff.breaking[0]
        what = f"signature '{first.signature}'" + (f", {first.tensor}" if first.tensor else "")
        return failed(f"{what}: {first.message}{_more(len(diff.breaking))}", float(len(diff.breaking)), "changes")
    return passed(f"{diff.verdict.value}: {len(diff.changes)} changes", float(len(diff.changes)), "changes")


def _more(count: int) -> str:
    return f" (and {count - 1} more)" if count > 1 else ""
