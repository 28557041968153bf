# SPDX-License-Identifier: Apache-2.0
"""What changes between two configs."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy import protos
from tfs_deploy.config import diff, model_server_config
from tfs_deploy.deployment import Deployment, Model, VersionPolicy


def config(*models: Model):
    return model_server_config(Deployment("d", Path("/x/d.yaml"), Path("/x"), models))


def model(name: str = "m", path: str = "/m", versions=(1,), **labels: int) -> Model:
    return Model(name, Path(path), VersionPolicy.specific(versions), labels)


def test_nothing_changes():
    assert not diff(config(model()), config(model()))


def test_the_order_of_models_does_not_count():
    one, two = model("a", "/a"), model("b", "/b")
    assert not diff(config(one, two), config(two, one))


def test_every_kind_of_change_has_its_line():
    old = config(model("gone"), model("m", stable=1, old=1), model("moved", "/a"))
    new = config(model("m", versions=(1, 2), stable=2, canary=2), model("moved", "/b"), model("new"))
    change = diff(old, new)
    assert change.added == ("new",)
    assert change.removed == ("gone",)
    assert change.lines() == [
        "new: added",
        "m: versions specific 1 -> specific 1, 2",
        "m: label canary set to 2",
        "m: label old removed, was 1",
        "m: label stable 1 -> 2",
        "moved: base_path /a -> /b",
        "gone: removed",
    ]


def test_policies_that_mean_the_same_are_the_same():
    old, new = config(Model("m", Path("/m"))), config(Model("m", Path("/m")))
    new.model_config_list.config[0].ClearField("model_version_policy")
    assert not diff(old, new)
    new.model_config_list.config[0].model_version_policy.latest.num_versions = 0
    assert not diff(old, new)
    new.model_config_list.config[0].model_version_policy.all.SetInParent()
    assert diff(old, new).lines() == ["m: versions latest 1 -> all"]


def test_from_nothing():
    assert diff(protos.ModelServerConfig(), config(model())).lines() == ["m: added"]


@given(st.lists(st.sampled_from("abc"), unique=True), st.lists(st.sampled_from("abc"), unique=True))
def test_there_and_back(before, after):
    old, new = (config(*(model(name, f"/{name}") for name in names)) for names in (before, after))
    assert set(diff(old, new).added) == set(diff(new, old).removed)
