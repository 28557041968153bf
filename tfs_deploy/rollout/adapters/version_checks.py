# SPDX-License-Identifier: Apache-2.0
"""What a rollout checks with the files of a version: before it is loaded, and of its answers once it is served."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from tfs_deploy.deployment import VersionPolicy
from tfs_deploy.deployment.links import HINT, blind_links
from tfs_deploy.deployment.server_traits import server_traits
from tfs_deploy.errors import ModelError, TfsDeployError, UsageError, VerdictError
from tfs_deploy.host.machine import available_bytes
from tfs_deploy.launch.memory import version_bytes
from tfs_deploy.launch.server_state import version_numbers
from tfs_deploy.rollout.check_result import CheckResult
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.review import (
    BREAKING,
    GOLDENS_WITHOUT_SIGNATURE,
    LINT_CODES,
    NO_GOLDENS,
    NO_MANIFEST,
    NO_WARMUP,
    NOT_AS_EXPORTED,
    Accepts,
    Remark,
    Review,
    review_contract,
    review_goldens,
    review_lint,
    review_manifest,
    review_warmup,
)
from tfs_deploy.savedmodel.versions import find_version, list_versions
from tfs_deploy.savedmodel.warmup import count_warmup
from tfs_deploy.smoke.results import Outcome, Target
from tfs_deploy.smoke.smoke import smoke_target
from tfs_deploy.store.retention import prune
from tfs_deploy.store.verdict import require_verdict
from tfs_deploy.text import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tfs_deploy.client.protocols import Predictor
    from tfs_deploy.deployment import Deployment
    from tfs_deploy.rollout.machine.plan import RolloutPlan
    from tfs_deploy.savedmodel.lint import ServerTraits

#: lint rules about the versions beside this one, and the one that the manifest covers
_NOT_HERE: Final = ("TFS4", "TFS304")
_NOT_VERIFIED: Final = "not-verified"
#: what no plan refuses: the smoke checks see whether recorded answers fit
_ALWAYS: Final = frozenset({NO_MANIFEST, GOLDENS_WITHOUT_SIGNATURE})
#: what follows a remark that is refused, and one that is accepted
_REFUSED: Final = {
    NO_GOLDENS: " to compare with (allow it: --allow-missing-goldens)",
    NO_WARMUP: "; version {old} has some (allow it: --allow-missing-warmup)",
    BREAKING: " (allow it: --allow-breaking)",
    **dict.fromkeys(LINT_CODES, " (continue anyway: --ignore-lint)"),
}
_NOTED: Final = {NO_GOLDENS: ", so its values are not compared"}


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
        """Judge the new version's files: intact, clean, with recorded answers, compatible with its callers."""
        notes: list[str] = []
        try:
            reason = (
                self._unseen(plan.new)
                or _refusal(self.base_path, plan, server_traits(self.deployment), notes)
                or self._fits(plan, notes)
            )
        except ModelError as error:
            return CheckResult(ok=False, reason=error.message, notes=tuple(notes))
        if reason is None:
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

    def _unseen(self, version: int) -> str | None:
        """Say which link of a version leads out of what the server's container sees."""
        model = self.deployment.model(self.model)
        alone = replace(model, version_policy=VersionPolicy.specific([version]))
        link = next(blind_links(replace(self.deployment, models=(alone,))), None)
        return None if link is None else f"{link.message}: {HINT}"

    def _fits(self, plan: RolloutPlan, notes: list[str]) -> str | None:
        """Say if the new version is too big to be loaded beside the old one."""
        needed, room = version_bytes(find_version(self.base_path, plan.new).path), self.room()
        if room is None and plan.replicas:
            notes.append(
                f"version {plan.new} needs about {size_text(needed)} on each server, whose memory is not known"
            )
        if room is None or needed <= room:
            return None
        text = f"version {plan.new} needs about {size_text(needed)} of memory, but only {size_text(room)} is available"
        if not plan.ignore_memory:
            return f"{text} (continue anyway: --ignore-memory)"
        notes.append(text)
        return None


def _refusal(base: Path, plan: RolloutPlan, server: ServerTraits, notes: list[str]) -> str | None:
    """Return the first reason not to load the new version, ``None`` if there is none; what is accepted is noted."""
    for review, accepts in _reviews(base, plan, server, notes):
        refused = accepts.refused(review)
        if refused:
            return _told(refused[0], plan) + _REFUSED.get(refused[0].code, "").format(old=plan.old)
        notes += [_told(remark, plan) + _NOTED.get(remark.code, "") for remark in accepts.accepted(review)[:1]]
    return None


def _reviews(base: Path, plan: RolloutPlan, server: ServerTraits, notes: list[str]) -> Iterator[tuple[Review, Accepts]]:
    """Yield the reviews of the new version, each with what the plan accepts, from the cheapest to the widest."""
    accepts = _accepts(plan)
    folder = find_version(base, plan.new).path
    yield review_manifest(folder), accepts
    if plan.verdict:
        yield _review_verdict(plan.verdict, folder, plan, notes), accepts
    info = inspect_model(folder)
    yield review_lint(info, ignore=_NOT_HERE, server=server), accepts
    yield review_goldens(info), accepts
    warmup = review_warmup(info)
    yield warmup, accepts if not warmup.remarks or _has_warmup(base, plan.old) else Accepts(frozenset({NO_WARMUP}))
    try:
        old = inspect_model(find_version(base, plan.old).path)
    except ModelError as error:
        notes.append(f"the contract was not compared: {error.message}")
    else:
        yield review_contract(info, old), accepts


def _accepts(plan: RolloutPlan) -> Accepts:
    """Return what the plan accepts; a version without a manifest is always accepted."""
    flags = (
        (plan.ignore_lint, LINT_CODES),
        (plan.allow_missing_goldens, {NO_GOLDENS}),
        (plan.allow_missing_warmup, {NO_WARMUP}),
        (plan.allow_breaking, {BREAKING}),
    )
    return Accepts(_ALWAYS.union(*(codes for is_set, codes in flags if is_set)))


def _review_verdict(verdict: str, folder: Path, plan: RolloutPlan, notes: list[str]) -> Review:
    """Look for a verification that passed exactly these files."""
    try:
        notes.append(f"version {plan.new} was {require_verdict(verdict, folder)}")
    except (VerdictError, UsageError) as error:
        return Review((Remark(_NOT_VERIFIED, (), error.message),))
    return Review()


def _has_warmup(base: Path, number: int) -> bool:
    return any(count_warmup(version.path) for version in list_versions(base) if version.number == number)


def _told(remark: Remark, plan: RolloutPlan) -> str:
    """Say what a remark means for the rollout."""
    texts = {
        NO_MANIFEST: "version {new} has no manifest, so its files were not verified",
        NOT_AS_EXPORTED: "version {new} has changed since the export: {remark}",
        NO_GOLDENS: "version {new} has no recorded answers",
        GOLDENS_WITHOUT_SIGNATURE: "version {new}, {remark}",
        NO_WARMUP: "version {new} has no warmup requests, so its first answers are slow",
        BREAKING: "version {new} breaks callers of version {old}: {remark}",
        **dict.fromkeys(LINT_CODES, "lint of version {new}: {remark.code} {remark}"),
    }
    return texts.get(remark.code, "{remark}").format(new=plan.new, old=plan.old, remark=remark)


def _unlabelled(plan: RolloutPlan) -> Sequence[str]:
    """Warn of requests that no traffic file can hold back: those without label go to the highest loaded version."""
    if plan.new < max((plan.old, *plan.others.values())) or not plan.steps:
        return ()
    text = f"requests that name neither label nor version reach version {plan.new} as soon as it is loaded"
    return (f"{text}: let consumers use Router, or the label {plan.stable}",)
