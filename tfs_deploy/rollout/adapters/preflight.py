# SPDX-License-Identifier: Apache-2.0
"""What a rollout asks of a version's files before it is loaded: every reason against it, and what allows each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from tfs_deploy.deployment import VersionPolicy
from tfs_deploy.deployment.links import HINT, blind_links
from tfs_deploy.deployment.server_traits import server_traits
from tfs_deploy.errors import ModelError, UsageError, VerdictError
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
from tfs_deploy.store.verdict import require_verdict
from tfs_deploy.text import size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tfs_deploy.deployment import Deployment, Model
    from tfs_deploy.rollout.machine.plan import RolloutPlan
    from tfs_deploy.savedmodel.inspect import SavedModelInfo
    from tfs_deploy.savedmodel.lint import ServerTraits

#: lint rules about the versions beside this one, and the one that the manifest covers
_NOT_HERE: Final = ("TFS4", "TFS304")
_NOT_VERIFIED: Final = "not-verified"
#: what no plan refuses: the smoke checks see whether recorded answers fit
_ALWAYS: Final = frozenset({NO_MANIFEST, GOLDENS_WITHOUT_SIGNATURE})
#: code of a remark that is refused -> what follows its text, and the flag that allows it
_ALLOWED_BY: Final = {
    NO_GOLDENS: (" to compare with (allow it: {flag})", "--allow-missing-goldens"),
    NO_WARMUP: ("; version {old} has some (allow it: {flag})", "--allow-missing-warmup"),
    BREAKING: (" (allow it: {flag})", "--allow-breaking"),
    **dict.fromkeys(LINT_CODES, (" (continue anyway: {flag})", "--ignore-lint")),
}
_NOTED: Final = {NO_GOLDENS: ", so its values are not compared"}


@dataclass(slots=True)
class _Findings:
    """What speaks against a version, each with the flag that allows it (empty: none does), and what is only told."""

    refusals: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def result(self) -> CheckResult:
        texts = tuple(text for text, _ in self.refusals)
        flags = tuple(dict.fromkeys(flag for _, flag in self.refusals))
        allowed_by = () if "" in flags else flags
        return CheckResult(not texts, "; ".join(texts), tuple(self.notes), refusals=texts, allowed_by=allowed_by)


def judge_files(
    deployment: Deployment, model: Model, base_path: Path, plan: RolloutPlan, room: int | None
) -> CheckResult:
    """Judge the new version's files: intact, clean, with recorded answers, compatible with its callers.

    Every reason against the version is told, and what allows it. A lint finding that the version which serves has as
    well is a note. ``room``: the bytes of memory that the server can still take, ``None`` if unknown.
    """
    found = _Findings()
    if plan.pull_from and plan.new not in version_numbers(base_path):
        found.notes.append(f"version {plan.new} is only in the store: its files are judged once it is pulled")
        return found.result()
    alone = replace(model, version_policy=VersionPolicy.specific([plan.new]))
    link = next(blind_links(replace(deployment, models=(alone,))), None)
    if link is not None:
        found.refusals.append((f"{link.message}: {HINT}", ""))
    _judge_reviews(base_path, plan, server_traits(deployment), found)
    _judge_memory(base_path, plan, room, found)
    if not found.refusals:
        found.notes += [*_unlabelled(plan), *([plan.told_leaving()] if plan.leaving else [])]
    return found.result()


def _judge_reviews(base: Path, plan: RolloutPlan, server: ServerTraits, found: _Findings) -> None:
    """Add what the reviews find, one entry for each kind of remark; a file that cannot be read is a reason too."""
    try:
        for review_one in _reviews(base, plan, server, found.notes):
            try:
                review, accepts = review_one()
            except ModelError as error:  # the others can still tell more
                found.refusals.append((error.message, ""))
                continue
            for remark, more in _by_code(accepts.refused(review)):
                follows, flag = _ALLOWED_BY.get(remark.code, ("", ""))
                text = _told(remark, plan) + (f", and {more} more of this kind" if more else "")
                found.refusals.append((text + follows.format(old=plan.old, flag=flag), flag))
            accepted = accepts.accepted(review)[:1]
            found.notes += [_told(remark, plan) + _NOTED.get(remark.code, "") for remark in accepted]
    except ModelError as error:  # the version itself cannot be read, and no review after that
        found.refusals.append((error.message, ""))


def _by_code(remarks: Iterable[Remark]) -> Iterator[tuple[Remark, int]]:
    """Yield the first remark of each code and how many follow it."""
    groups: dict[str, list[Remark]] = {}
    for remark in remarks:
        groups.setdefault(remark.code, []).append(remark)
    for group in groups.values():
        yield group[0], len(group) - 1


def _reviews(
    base: Path, plan: RolloutPlan, server: ServerTraits, notes: list[str]
) -> Iterator[Callable[[], tuple[Review, Accepts]]]:
    """Yield the reviews of the new version, from the cheapest to the widest; each tells what the plan accepts."""
    accepts = _accepts(plan)
    folder = find_version(base, plan.new).path
    yield lambda: (review_manifest(folder), accepts)
    if plan.verdict:
        yield lambda: (_review_verdict(plan.verdict, folder, plan, notes), accepts)
    info = inspect_model(folder)
    try:
        old = inspect_model(find_version(base, plan.old).path)
    except ModelError as error:
        notes.append(f"the contract was not compared: {error.message}")
        yield lambda: (review_lint(info, ignore=_NOT_HERE, server=server), accepts)
    else:
        yield lambda: (_new_lint(info, old, accepts, server, plan, notes), accepts)
        yield lambda: (review_contract(info, old), accepts)
    yield lambda: (review_goldens(info), accepts)
    yield lambda: _review_warmup(info, base, plan, accepts)


def _review_warmup(info: SavedModelInfo, base: Path, plan: RolloutPlan, accepts: Accepts) -> tuple[Review, Accepts]:
    """Review the warmup requests, which are asked for only where the old version has some."""
    review = review_warmup(info)
    had = not review.remarks or _has_warmup(base, plan.old)
    return review, accepts if had else Accepts(frozenset({NO_WARMUP}))


def _new_lint(
    info: SavedModelInfo,
    old: SavedModelInfo,
    accepts: Accepts,
    server: ServerTraits,
    plan: RolloutPlan,
    notes: list[str],
) -> Review:
    """Return the findings without those that the version which serves has at the same place; these are noted."""
    lint = review_lint(info, ignore=_NOT_HERE, server=server)
    refused = accepts.refused(lint)
    if not refused:
        return lint
    try:
        before = {(each.code, each.places) for each in review_lint(old, ignore=_NOT_HERE, server=server).remarks}
    except ModelError:  # it cannot be read whole, so it excuses nothing
        return lint
    known = [remark for remark in refused if (remark.code, remark.places) in before]
    for remark, more in _by_code(known):
        also = f", and {more} more of this kind" if more else ""
        notes.append(f"{_told(remark, plan)}{also}; version {plan.old}, which serves, has it too")
    return replace(lint, remarks=tuple(remark for remark in lint.remarks if remark not in known))


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


def _judge_memory(base: Path, plan: RolloutPlan, room: int | None, found: _Findings) -> None:
    """Refuse a new version that is too big to be loaded beside the old one."""
    try:
        needed = version_bytes(find_version(base, plan.new).path)
    except ModelError:  # the reviews have told it
        return
    if room is None and plan.replicas:
        found.notes.append(
            f"version {plan.new} needs about {size_text(needed)} on each server, whose memory is not known"
        )
    if room is None or needed <= room:
        return
    text = f"version {plan.new} needs about {size_text(needed)} of memory, but only {size_text(room)} is available"
    if plan.ignore_memory:
        found.notes.append(text)
    else:
        found.refusals.append((f"{text} (continue anyway: --ignore-memory)", "--ignore-memory"))


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


def _unlabelled(plan: RolloutPlan) -> Iterator[str]:
    """Warn of requests that no traffic file can hold back: those without label go to the highest loaded version."""
    if plan.new >= max((plan.old, *plan.others.values())) and plan.steps:
        text = f"requests that name neither label nor version reach version {plan.new} as soon as it is loaded"
        yield f"{text}: let consumers use Router, or the label {plan.stable}"
