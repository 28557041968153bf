"""Checks of a rollout that need the model's files: before the load, and of the answers of what is served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import ModelError, TfsDeployError, UsageError, VerdictError
from tfs_deploy.host.machine import available_bytes
from tfs_deploy.launch.memory import version_bytes
from tfs_deploy.rollout.check_result import CheckResult
from tfs_deploy.savedmodel.contract import diff_models
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.lint import Severity, lint_model
from tfs_deploy.savedmodel.manifest import read_manifest, verify_manifest
from tfs_deploy.savedmodel.versions import find_version, list_versions
from tfs_deploy.savedmodel.warmup import count_warmup
from tfs_deploy.smoke.report import Outcome, Target
from tfs_deploy.smoke.smoke import has_goldens, smoke_target
from tfs_deploy.store.retention import prune
from tfs_deploy.store.verdict import require_verdict
from tfs_deploy.text import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tfs_deploy.client.protocols import Predictor
    from tfs_deploy.deployment import Deployment
    from tfs_deploy.rollout.machine.plan import RolloutPlan

#: lint rules that are about other versions beside this one, or are checked here anyway
_NOT_HERE: Final = ("TFS4", "TFS304")


@dataclass(frozen=True, slots=True)
class FileChecks:
    """Checks with the model's files and with the answers recorded in them.

    ``members``: the clients of each server by transport name, by the address under which its findings are told, which
    is empty for the only server. ``room``: the bytes of memory that the server can still have, ``None`` where unknown.
    """

    deployment: Deployment
    model: str
    base_path: Path
    members: Mapping[str, Mapping[str, Predictor]]
    room: Callable[[], int | None] = available_bytes

    def preflight(self, plan: RolloutPlan) -> CheckResult:
        """Judge the new version's files: intact, clean, with recorded answers, no surprise to callers."""
        notes: list[str] = []
        try:
            for check in (_intact, _verified, _clean, _recorded, _warm, _compatible):
                reason = check(self.base_path, plan, notes)
                if reason is not None:
                    return CheckResult(ok=False, reason=reason, notes=tuple(notes))
            reason = self._fits(plan, notes)
        except ModelError as error:
            return CheckResult(ok=False, reason=error.message, notes=tuple(notes))
        notes += [*_unlabelled(plan), *([plan.told_leaving()] if plan.leaving else [])]
        return CheckResult(ok=reason is None, reason=reason or "", notes=tuple(notes))

    def smoke(self, version: int) -> CheckResult:
        """Ask the new version by number, over every transport, while no label points at it."""
        return self.ask(Target(version=version))

    def golden(self, label: str, version: int) -> CheckResult:
        """Ask a label, and expect the recorded answers of ``version``."""
        return self.ask(Target(label, version))

    def ask(self, target: Target) -> CheckResult:
        """Run the smoke checks of one label or version and sum them up; the first real failure is the reason."""
        notes: dict[str, None] = {}
        compared = 0
        for address, clients in self.members.items():
            checks = list(smoke_target(self.model, self.base_path, target, clients))
            failed = sorted((check for check in checks if check.failed), key=lambda check: check.retriable)
            if failed:
                reason = f"{address}: {failed[0]}" if address else str(failed[0])
                return CheckResult(ok=False, reason=reason, retriable=failed[0].retriable)
            notes.update(dict.fromkeys(str(check) for check in checks if check.outcome is Outcome.SKIPPED))
            compared += sum(check.outcome is Outcome.OK for check in checks) - len(clients)
        return CheckResult(ok=True, reason=f"{compared} answers as expected", notes=tuple(notes))

    def prune(self, keep: int, served: int) -> str:
        """Remove all but the ``keep`` newest versions, never one that a deployment serves or names."""
        try:
            gone = prune(self.base_path, keep, [self.deployment.source], served)
        except TfsDeployError as error:  # the rollout itself is done
            return f"old versions were not removed: {error.message}"
        names = ", ".join(map(str, gone))
        return f"versions removed from the disk: {names}" if gone else "no version had to be removed from the disk"

    def _fits(self, plan: RolloutPlan, notes: list[str]) -> str | None:
        """Say if the new version is too big to be loaded beside the old one."""
        needed, room = version_bytes(find_version(self.base_path, plan.new).path), self.room()
        if room is None and plan.replicas:
            notes.append(
                f"version {plan.new} needs about {size_text(needed)} on each server, whose memory is not known"
            )
        if room is None or needed <= room:
            return None
        text = f"version {plan.new} needs about {size_text(needed)} of memory, {size_text(room)} are available"
        if plan.need_memory:
            return f"{text} (go on all the same: --ignore-memory)"
        notes.append(text)
        return None


def _intact(base: Path, plan: RolloutPlan, notes: list[str]) -> str | None:
    folder = find_version(base, plan.new).path
    if read_manifest(folder) is None:
        notes.append(f"version {plan.new} has no manifest, so its files were not verified")
        return None
    problems = verify_manifest(folder)
    return f"version {plan.new} is not what was exported: {problems[0]}" if problems else None


def _verified(base: Path, plan: RolloutPlan, notes: list[str]) -> str | None:
    """Demand the yes of a verification to exactly these files, if one was asked for."""
    if not plan.verdict:
        return None
    try:
        notes.append(f"version {plan.new} was {require_verdict(plan.verdict, find_version(base, plan.new).path)}")
    except (VerdictError, UsageError) as error:
        return error.message
    return None


def _clean(base: Path, plan: RolloutPlan, notes: list[str]) -> str | None:
    findings = lint_model(find_version(base, plan.new).path, ignore=_NOT_HERE)
    errors = [finding for finding in findings if finding.severity is Severity.ERROR]
    if not errors:
        return None
    first = errors[0]
    text = f"lint of version {plan.new}: {first.rule} {first.where}: {first.message}"
    if plan.need_clean:
        return f"{text} (go on all the same: --ignore-lint)"
    notes.append(text)
    return None


def _recorded(base: Path, plan: RolloutPlan, notes: list[str]) -> str | None:
    if has_goldens(base, plan.new):
        return None
    if plan.need_goldens:
        return f"version {plan.new} has no recorded answers to compare with (allow it: --allow-missing-goldens)"
    notes.append(f"version {plan.new} has no recorded answers, so its values are not compared")
    return None


def _warm(base: Path, plan: RolloutPlan, notes: list[str]) -> str | None:
    """Demand warmup requests of the new version where the old one has some."""
    if count_warmup(find_version(base, plan.new).path):
        return None
    text = f"version {plan.new} has no warmup requests, so its first answers are slow"
    old = [version.path for version in list_versions(base) if version.number == plan.old]
    if plan.need_warmup and old and count_warmup(old[0]):
        return f"{text}; version {plan.old} has some (allow it: --allow-missing-warmup)"
    notes.append(text)
    return None


def _compatible(base: Path, plan: RolloutPlan, notes: list[str]) -> str | None:
    try:
        old = inspect_model(find_version(base, plan.old).path)
    except ModelError as error:
        notes.append(f"the contract was not compared: {error.message}")
        return None
    new = inspect_model(find_version(base, plan.new).path)
    breaking = diff_models(old, new).breaking
    if not breaking:
        return None
    first = breaking[0]
    tensor = f" {first.tensor}" if first.tensor else ""
    text = f"version {plan.new} breaks callers of version {plan.old}: {first.signature}{tensor}: {first.message}"
    if not plan.allow_breaking:
        return f"{text} (allow it: --allow-breaking)"
    notes.append(text)
    return None


def _unlabelled(plan: RolloutPlan) -> Sequence[str]:
    """Warn of requests that no traffic file can hold back: those without label go to the highest loaded version."""
    if plan.new < max((plan.old, *plan.others.values())) or not plan.steps:
        return ()
    text = f"requests that name neither label nor version reach version {plan.new} as soon as it is loaded"
    return (f"{text}: let consumers use Router, or the label {plan.stable}",)
