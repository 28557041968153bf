"""Checks of a rollout that need the model's files: before the load, and of the answers of what is served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfs_deploy.errors import ModelError
from tfs_deploy.rollout.ports import CheckResult
from tfs_deploy.savedmodel.contract import diff_models
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.manifest import read_manifest, verify_manifest
from tfs_deploy.savedmodel.versions import find_version
from tfs_deploy.verify.results import Outcome, Target
from tfs_deploy.verify.smoke import has_goldens, smoke_target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfs_deploy.rollout.plan import Plan
    from tfs_deploy.verify.smoke import Predictor


@dataclass(frozen=True, slots=True)
class FileChecks:
    """Checks with the model's files and with the answers recorded in them."""

    model: str
    base_path: Path
    clients: Mapping[str, Predictor]

    def preflight(self, plan: Plan) -> CheckResult:
        """Judge the new version's files: intact, with recorded answers, no surprise to callers of the old version."""
        notes: list[str] = []
        try:
            for check in (self._intact, self._recorded, self._compatible):
                reason = check(plan, notes)
                if reason is not None:
                    return CheckResult(ok=False, reason=reason, notes=tuple(notes))
        except ModelError as error:
            return CheckResult(ok=False, reason=error.message, notes=tuple(notes))
        return CheckResult(ok=True, notes=tuple(notes))

    def smoke(self, version: int) -> CheckResult:
        """Ask the new version by number, over every transport, while no label points at it."""
        return self.ask(Target(version=version))

    def golden(self, label: str, version: int) -> CheckResult:
        """Ask a label, and expect the recorded answers of ``version``."""
        return self.ask(Target(label, version))

    def ask(self, target: Target) -> CheckResult:
        """Run the smoke checks of one label or version and sum them up; the first real failure is the reason."""
        checks = list(smoke_target(self.model, self.base_path, target, self.clients))
        failed = sorted((check for check in checks if check.failed), key=lambda check: check.retriable)
        if failed:
            return CheckResult(ok=False, reason=str(failed[0]), retriable=failed[0].retriable)
        notes = tuple(str(check) for check in checks if check.outcome is Outcome.SKIPPED)
        compared = sum(check.outcome is Outcome.OK for check in checks) - len(self.clients)
        return CheckResult(ok=True, reason=f"{compared} answers as expected", notes=notes)

    def _intact(self, plan: Plan, notes: list[str]) -> str | None:
        folder = find_version(self.base_path, plan.new).path
        if read_manifest(folder) is None:
            notes.append(f"version {plan.new} has no manifest, so its files were not verified")
            return None
        problems = verify_manifest(folder)
        return f"version {plan.new} is not what was exported: {problems[0]}" if problems else None

    def _recorded(self, plan: Plan, notes: list[str]) -> str | None:
        if has_goldens(self.base_path, plan.new):
            return None
        if plan.need_goldens:
            return f"version {plan.new} has no recorded answers to compare with (allow it: --allow-missing-goldens)"
        notes.append(f"version {plan.new} has no recorded answers, so its values are not compared")
        return None

    def _compatible(self, plan: Plan, notes: list[str]) -> str | None:
        try:
            old = inspect_model(find_version(self.base_path, plan.old).path)
        except ModelError as error:
            notes.append(f"the contract was not compared: {error.message}")
            return None
        new = inspect_model(find_version(self.base_path, plan.new).path)
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
