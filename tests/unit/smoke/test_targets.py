# SPDX-License-Identifier: Apache-2.0
"""Which labels and versions of a deployment a smoke test asks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfs_deploy.deployment import Deployment, Model, VersionPolicy
from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.errors import UsageError
from tfs_deploy.smoke.results import Target
from tfs_deploy.smoke.targets import smoke_targets
from tfs_deploy.state.active import write_active


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    for version in ("1", "2", "00000003", "notes"):
        (tmp_path / "faces" / version).mkdir(parents=True)
    digits = Model("digits", tmp_path / "digits", VersionPolicy.specific([1, 2]), {"stable": 1, "beta": 2})
    faces = Model("faces", tmp_path / "faces", VersionPolicy.latest(2))
    return Deployment("shop", tmp_path / "shop.yaml", tmp_path / "state", (digits, faces))


def asked(deployment: Deployment, **choice) -> list[tuple[str, str | None, int | None]]:
    return [(model.name, target.label, target.version) for model, target in smoke_targets(deployment, **choice)]


def test_labels_are_asked_and_versions_where_there_are_none(deployment):
    assert asked(deployment) == [
        ("digits", "beta", 2),
        ("digits", "stable", 1),
        ("faces", None, 2),
        ("faces", None, 3),
    ]


def test_labels_count_as_rollouts_have_moved_them(deployment):
    digits = deployment.model("digits")
    write_active(deployment.state_dir, {"digits": ActiveModel.of(digits, (2,), {"stable": 2})})

    assert asked(deployment, model="digits") == [("digits", "stable", 2)]


def test_choices(deployment):
    assert asked(deployment, label="beta") == [("digits", "beta", 2)]
    assert asked(deployment, model="faces", version=7) == [("faces", None, 7)]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"model": "digit"}, "has no model 'digit'"),
        ({"label": "canary"}, "no model has the label 'canary'"),
        ({"model": "faces", "label": "stable"}, "no model has the label 'stable'"),
        ({"label": "stable", "version": 1}, "not both"),
        ({"version": 1}, "belongs to one model"),
    ],
)
def test_what_leaves_nothing_to_ask(deployment, choice, message):
    with pytest.raises(UsageError, match=message):
        smoke_targets(deployment, **choice)


def test_a_model_whose_directory_is_gone_is_asked_for_the_versions_it_names(tmp_path):
    model = Model("digits", tmp_path / "nowhere", VersionPolicy.specific([4]))
    deployment = Deployment("shop", tmp_path / "shop.yaml", tmp_path / "state", (model,))

    assert smoke_targets(deployment) == [(model, Target(version=4))]
