# SPDX-License-Identifier: Apache-2.0
"""What rollouts leave behind, and how an edit of the deployment file ends it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tfs_deploy.config import model_server_config, server_flags
from tfs_deploy.deployment import Deployment, Model, VersionPolicy
from tfs_deploy.deployment.active import ActiveModel, apply_active, kept_notes, model_digest

MODEL = Model("m", Path("/m"), VersionPolicy.specific([1]), {"stable": 1}, {"stable": 100.0})
DEPLOYMENT = Deployment("d", Path("/x/d.yaml"), Path("/x/.tfs-deploy/d"), (MODEL,))


def test_a_rollout_wins_over_the_file_it_started_from():
    active = {"m": ActiveModel.of(MODEL, (2, 1), {"stable": 1, "canary": 2})}
    served, notes = apply_active(DEPLOYMENT, active)
    assert served.models[0].version_policy == VersionPolicy.specific([1, 2])
    assert served.models[0].labels == {"stable": 1, "canary": 2}
    assert notes == []
    config = model_server_config(DEPLOYMENT, active).model_config_list.config[0]
    assert list(config.model_version_policy.specific.versions) == [1, 2]
    assert dict(config.version_labels) == {"stable": 1, "canary": 2}


def test_a_file_that_says_something_else_than_the_last_rollout_left_is_told_what_to_write():
    served = apply_active(DEPLOYMENT, {"m": ActiveModel.of(MODEL, (2,), {"stable": 2})})[0]
    record = Path("/x/.tfs-deploy/d/active.json")
    (note,) = kept_notes(DEPLOYMENT, served, record)
    assert note == (
        "model 'm' stays as its last rollout left it, which differs from /x/d.yaml: write versions: {specific: [2]}, "
        "labels: {stable: 2} there, then check it with: tfs-deploy plan /x/d.yaml; to go back to what the file says, "
        "delete /x/.tfs-deploy/d/active.json before the next up"
    )
    # a rollback has brought it back to what the file says
    back = apply_active(DEPLOYMENT, {"m": ActiveModel.of(MODEL, (1,), {"stable": 1})})[0]
    assert kept_notes(DEPLOYMENT, back, record) == []
    assert kept_notes(DEPLOYMENT, DEPLOYMENT, record) == []


@pytest.mark.parametrize(
    "edit",
    [
        {"labels": {"stable": 3}},
        {"version_policy": VersionPolicy.latest()},
        {"base_path": Path("/n")},
        {"traffic": {"stable": 50.0, "canary": 50.0}},
    ],
)
def test_an_edit_of_the_file_wins_over_an_older_rollout_and_is_noted(edit):
    active = {"m": ActiveModel.of(MODEL, (2,), {"stable": 2})}
    edited = dataclasses.replace(DEPLOYMENT, models=(dataclasses.replace(MODEL, **edit),))
    served, notes = apply_active(edited, active)
    assert served == edited
    (note,) = notes
    assert "'m' was edited" in note
    assert "versions 2 with stable=2" in note


def test_a_record_of_a_model_that_is_gone_changes_nothing():
    served, notes = apply_active(DEPLOYMENT, {"other": ActiveModel((1,), {}, "x")})
    assert served == DEPLOYMENT
    assert notes == []


def test_labels_of_a_rollout_need_the_start_up_flag():
    bare = dataclasses.replace(MODEL, labels={}, traffic={})
    deployment = dataclasses.replace(DEPLOYMENT, models=(bare,))
    flag = "--allow_version_labels_for_unavailable_models=true"
    assert flag not in server_flags(deployment, Path("/c"))
    assert flag in server_flags(deployment, Path("/c"), {"m": ActiveModel.of(bare, (1,), {"stable": 1})})


def test_the_digest_does_not_depend_on_order_or_number_type():
    one = Model("m", Path("/m"), VersionPolicy.specific([1, 2]), {"a": 1, "b": 2}, {"a": 50, "b": 50})
    two = Model("m", Path("/m"), VersionPolicy.specific([2, 1]), {"b": 2, "a": 1}, {"b": 50.0, "a": 50.0})
    assert model_digest(one) == model_digest(two)
