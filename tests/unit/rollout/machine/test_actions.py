# SPDX-License-Identifier: Apache-2.0
"""The names of actions in the journal: files on disk keep them whatever the classes are called."""

from __future__ import annotations

from typing import get_args

from tfs_deploy.rollout.machine.actions import Action, Apply, action_name

NAMES = {
    "Rescue": "rescue",
    "Wait": "wait",
    "Preflight": "preflight",
    "Smoke": "smoke",
    "SetTraffic": "weigh",
    "RestoreTraffic": "calm",
    "Judge": "judge",
    "Approve": "approve",
    "Prune": "prune",
    "Withdraw": "withdraw",
    "RestartServer": "revive",
    "Finish": "finish",
}


def test_every_action_has_the_name_that_journals_hold():
    classes = [kind for kind in get_args(Action) if kind is not Apply]
    assert {kind.__name__: action_name(object.__new__(kind)) for kind in classes} == NAMES
    assert action_name(Apply("load", (1, 2))) == "load"
