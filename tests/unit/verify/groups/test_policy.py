# SPDX-License-Identifier: Apache-2.0
"""The group policy: the rules of a policy as checks, and the groups that it requires."""

from __future__ import annotations

from pathlib import Path

from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.lint.policy import Policy
from tfs_deploy.verify.checks import Check, Checker, failed, passed, skipped
from tfs_deploy.verify.groups.policy import verify_policy, verify_required_groups

MODEL = Path(__file__).parents[3] / "data/models/zoo/2"


def test_what_a_version_holds() -> None:
    made: list[Check] = []
    checker = Checker(made.append, model="zoo 2")
    verify_policy(checker, inspect_model(MODEL), None)
    assert made == []
    verify_policy(checker, inspect_model(MODEL), Policy("p", "0", max_graph_bytes=10, deny=frozenset({"MatMul"})))
    assert [(check.id, check.status.value) for check in made] == [
        *(("policy.ops", "failed"), ("policy.size", "failed")),
        *(("policy.signatures", "passed"), ("policy.files", "passed")),
    ]
    assert made[0].reason.startswith("TFS601 ")
    assert "which the policy denies" in made[0].reason
    assert made[1].reason.startswith("TFS604 saved_model.pb: it has ")


def test_required_groups_need_a_check_that_passed() -> None:
    made: list[Check] = []
    checker = Checker(made.append, model="zoo 2")
    checker.record("load.served", "", passed("served"))
    checker.record("smoke.recorded", "", skipped("no answers"))
    checker.of(model="zoo 1").record("parity.version", "", passed("another model's"))
    checker.record("behaviour.batch", "", failed("differs"))
    required = ("load", "smoke", "parity", "behaviour")
    verify_required_groups(checker, tuple(made), Policy("p", "0", required_verdict_groups=required))
    assert [(check.about, check.status.value, check.reason) for check in made[4:]] == [
        ("load", "passed", "1 checks of the group 'load' passed"),
        ("smoke", "failed", "the policy requires the group 'smoke', of which no check passed; first: no answers"),
        ("parity", "failed", "the policy requires the group 'parity', of which no check was made"),
        ("behaviour", "failed", "the policy requires the group 'behaviour', of which no check passed; first: differs"),
    ]
