# SPDX-License-Identifier: Apache-2.0
"""What a rollout checks with the files of a version: before it is loaded, and of its answers once it is served."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfs_deploy.errors import TfsDeployError
from tfs_deploy.host.machine import available_bytes
from tfs_deploy.launch.server_state import version_numbers
from tfs_deploy.rollout.adapters.preflight import judge_files
from tfs_deploy.rollout.check_result import CheckResult
from tfs_deploy.smoke.results import AS_RECORDED, NO_RECORDED, Target, counted_checks, skipped_notes
from tfs_deploy.smoke.smoke import smoke_target
from tfs_deploy.store.retention import prune
from tfs_deploy.text import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tfs_deploy.client.protocols import Predictor
    from tfs_deploy.deployment import Deployment
    from tfs_deploy.rollout.machine.plan import RolloutPlan
    from tfs_deploy.smoke.results import SmokeCheck


@dataclass(frozen=True, slots=True)
class VersionChecks:
    """The checks of one model's versions: their files, and the answers recorded in them.

    ``members``: the clients of each server by transport name, keyed by the address that messages name (empty if there
    is only one server). ``room``: the bytes of memory that the server can still take, ``None`` if unknown.
    """

    deployment: Deployment
    model: str
    base_path: Path
    members: Mapping[str, Mapping[str, Predictor]]
    room: Callable[[], int | None] = available_bytes

    def preflight(self, plan: RolloutPlan) -> CheckResult:
        """Judge the new version's files (see ``preflight.judge_files``)."""
        return judge_files(self.deployment, self.deployment.model(self.model), self.base_path, plan, self.room())

    def smoke(self, version: int) -> CheckResult:
        """Ask the new version by number, over every transport, while no label points at it."""
        return self.ask(Target(version=version))

    def golden(self, label: str, version: int) -> CheckResult:
        """Ask a label, and expect the recorded answers of ``version``."""
        return self.ask(Target(label, version))

    def ask(self, target: Target) -> CheckResult:
        """Run the smoke checks of one label or version and sum them up; the first real failure is the reason."""
        made: list[SmokeCheck] = []
        for address, clients in self.members.items():
            checks = list(smoke_target(self.model, self.base_path, target, clients))
            failed = sorted((check for check in checks if check.failed), key=lambda check: check.retriable)
            if failed:
                reason = f"{address}: {failed[0]}" if address else str(failed[0])
                return CheckResult(ok=False, reason=reason, retriable=failed[0].retriable)
            made += checks
        return CheckResult(ok=True, reason=_proven(made), notes=tuple(skipped_notes(made)))

    def missing(self, version: int) -> str:
        """Return the directory of a version that is not on the disk, empty for one that is."""
        there = version in version_numbers(self.base_path)
        return "" if there else str(self.base_path / str(version))

    def prune(self, keep: int, served: int) -> str:
        """Remove all but the ``keep`` newest versions, never one that a deployment serves or names."""
        try:
            gone = prune(self.base_path, keep, [self.deployment.source], served)
        except TfsDeployError as error:  # the rollout itself is done
            return f"old versions were not removed: {error.message}"
        names = ", ".join(map(str, gone))
        return f"versions removed from the disk: {names}" if gone else "no version had to be removed from the disk"


def _proven(checks: Sequence[SmokeCheck]) -> str:
    """Say what passing checks prove: answers are as expected only where some were recorded."""
    recorded = sum(check.detail == AS_RECORDED for check in checks)
    if not recorded:
        told = counted_checks(checks)
        return NO_RECORDED if told == NO_RECORDED else f"{NO_RECORDED}; {told}"
    skipped = sum(check.outcome.value == "skipped" for check in checks)
    return f"{counted(recorded, 'answer')} as expected" + (f", {skipped} skipped" if skipped else "")
