# SPDX-License-Identifier: Apache-2.0
"""Group ``policy``: whether a version holds only what a policy allows, and was checked as it requires."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final

from tfs_deploy.savedmodel.lint import lint_model
from tfs_deploy.savedmodel.review import Accepts, of_findings
from tfs_deploy.verify.checks import CheckStatus, Judgement, failed, passed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfs_deploy.savedmodel.inspect import SavedModelInfo
    from tfs_deploy.savedmodel.lint.policy import Policy
    from tfs_deploy.verify.checks import Check, Checker

#: check -> the lint rules that it applies
_RULES: Final = {
    "policy.ops": ("TFS601", "TFS602"),
    "policy.size": ("TFS603", "TFS604"),
    "policy.signatures": ("TFS605",),
    "policy.files": ("TFS606", "TFS607"),
}
_NONE: Final = Accepts()


def verify_policy(checker: Checker, info: SavedModelInfo, policy: Policy | None) -> None:
    """Check what a version holds; nothing without a policy."""
    if policy is None:
        return
    for identity, rules in _RULES.items():
        checker.check(identity, "", functools.partial(_judge_rules, info, policy, rules))


def _judge_rules(info: SavedModelInfo, policy: Policy, rules: tuple[str, ...]) -> Judgement:
    """Judge a version by some of the rules of a policy."""
    refused = _NONE.refused(of_findings(lint_model(info, select=rules, policy=policy)))
    if refused:
        first, more = refused[0], f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
        return failed(f"{first.code} {first.where}: {first.message}{more}", float(len(refused)), "errors")
    return passed("as the policy wants it", 0.0, "errors")


def verify_required_groups(checker: Checker, checks: Iterable[Check], policy: Policy | None) -> None:
    """Check that one check at least of every group that the policy requires was made of this model, and passed."""
    own = [check for check in checks if check.model == checker.model]
    for group in () if policy is None else policy.required_verdict_groups:
        checker.record("policy.groups", group, _judge_group(group, [each for each in own if each.group == group]))


def _judge_group(group: str, made: list[Check]) -> Judgement:
    count = sum(check.status is CheckStatus.PASSED for check in made)
    if count:
        return passed(f"{count} checks of the group '{group}' passed", float(count), "checks")
    if not made:
        return failed(f"the policy requires the group '{group}', of which no check was made")
    return failed(f"the policy requires the group '{group}', of which no check passed; first: {made[0].reason}")
