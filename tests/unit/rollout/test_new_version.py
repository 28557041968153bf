# SPDX-License-Identifier: Apache-2.0
"""Which version a rollout brings, and where from: the disk first, the store for what is not there."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest

from support import signing
from tfs_deploy.deployment.address import parse_address
from tfs_deploy.deployment.deployment import Model, VersionPolicy
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import EnvironmentFault, ModelError, UsageError, VerdictError
from tfs_deploy.rollout import new_version
from tfs_deploy.rollout.begin import ServedState, new_plan
from tfs_deploy.rollout.machine.observation import AVAILABLE, ServerView, VersionView
from tfs_deploy.rollout.machine.plan import RolloutPlan
from tfs_deploy.rollout.machine.timing import timing
from tfs_deploy.rollout.new_version import bring, require_new_trusted, wanted_version
from tfs_deploy.store.places.directory import DirectoryPlace

STORE = parse_address("s3://b/m")


class Asked:
    """A place that counts how often it is asked."""

    address = STORE

    def __init__(self, *published: int) -> None:
        self.published, self.count = published, 0

    def versions(self) -> dict[int, str]:
        self.count += 1
        return dict.fromkeys(self.published, "tag")

    def publication(self, number: int) -> SimpleNamespace:
        self.count += 1
        if number not in self.published:
            raise ModelError(f"{self.address} has no version {number}")
        return SimpleNamespace(number=number)


@pytest.fixture
def model(tmp_path):
    """A model with versions 1 and 2 on disk."""
    for number in (1, 2):
        (tmp_path / f"m/{number}").mkdir(parents=True)
        (tmp_path / f"m/{number}/saved_model.pb").touch()
    return Model("m", tmp_path / "m", VersionPolicy.specific([1]), {"stable": 1}, {}, STORE)


@pytest.fixture
def store(monkeypatch):
    def hold(*published: int) -> Asked:
        place = Asked(*published)
        monkeypatch.setattr(new_version, "open_place", lambda _: place)
        return place

    return hold


def served(*, stable: int = 1, loads_by_itself: bool = False) -> ServedState:
    view = ServerView({stable: VersionView(AVAILABLE)}, {"stable": stable})
    return ServedState(view, stable, {}, {"stable": 100.0}, loads_by_itself)


@pytest.mark.parametrize(
    ("to", "published", "expected", "asked"),
    [
        (2, (), (2, None), 0),
        (3, (1, 3), (3, STORE), 1),
        (None, (1, 3), (3, STORE), 2),
        (None, (1,), (2, None), 1),
        (None, (), (2, None), 1),
    ],
)
def test_the_store_is_asked_for_what_is_not_on_disk(model, store, to, published, expected, asked):
    place = store(*published)
    assert wanted_version(model, to) == expected
    assert place.count == asked


def test_without_a_store_only_the_disk_counts(model):
    model = replace(model, store=None)
    assert wanted_version(model, None) == (2, None)
    with pytest.raises(ModelError, match="has no version 3"):
        wanted_version(model, 3)


def test_a_base_path_that_does_not_exist_yet_is_no_mistake(model, store, tmp_path):
    store(4)
    assert wanted_version(replace(model, base_path=tmp_path / "new"), None) == (4, STORE)


def test_what_neither_has_is_told(model, store, tmp_path):
    store(1)
    with pytest.raises(ModelError, match="s3://b/m has no version 9"):
        wanted_version(model, 9)
    store()
    with pytest.raises(ModelError, match="holds no published version"):
        wanted_version(replace(model, base_path=tmp_path / "new"), None)


def test_a_store_that_is_down_keeps_no_rollout_back_of_what_is_on_disk(model, monkeypatch):
    def down(_):
        raise EnvironmentFault("s3://b cannot be reached")

    monkeypatch.setattr(new_version, "open_place", down)
    assert wanted_version(model, 2) == (2, None)
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        wanted_version(model, None)


def test_only_what_is_trusted_is_brought(tmp_path, monkeypatch):
    source = signing.write_version(tmp_path / "store")
    private, public = signing.write_key(tmp_path, "ours")
    model = {"name": "m", "base_path": "base/m", "store": str(STORE)}
    file = tmp_path / "shop.yaml"
    file.write_text(json.dumps({"name": "shop", "models": [model], "trust": [public.name]}))
    deployment = load_deployment(file)
    (deployed,) = deployment.models
    monkeypatch.setattr(new_version, "open_place", lambda _: DirectoryPlace(parse_address(str(source.parent))))
    plan = new_plan(deployed, 1, served(stable=7), {})
    with pytest.raises(VerdictError, match="is not trusted"):
        bring(deployment, deployed, plan, print)
    assert not (tmp_path / "base").exists()
    shutil.copytree(source, tmp_path / "base/m/1")  # another process brought it meanwhile
    with pytest.raises(VerdictError, match="is not trusted"):
        bring(deployment, deployed, plan, print)
    with pytest.raises(VerdictError, match="is not trusted"):
        require_new_trusted(deployment, deployed, replace(plan, pull_from=""))
    shutil.rmtree(tmp_path / "base")
    signing.sign_all(source, private)
    told: list[str] = []
    bring(deployment, deployed, plan, told.append)
    assert (tmp_path / "base/m/1/saved_model.pb").is_file()
    assert told[0] == "pulling version 1 out of s3://b/m"
    assert told[1].startswith(f"pulled {tmp_path / 'base/m/1'}: ")


def test_a_plan_says_what_is_pulled_first_and_its_journal_keeps_it(model, store):
    store(3)
    plan = new_plan(model, 3, served(), {})
    assert plan.pull_from == "s3://b/m"
    first = timing(plan).phases[0]
    assert (first.phase, first.what) == ("pull", "version 3 out of s3://b/m")
    assert RolloutPlan.from_dict(plan.as_dict()) == plan
    assert timing(new_plan(model, 2, served(), {})).phases[0].phase == "preflight"


def test_what_a_server_would_load_by_itself_is_not_pulled(model, store):
    store(3)
    with pytest.raises(UsageError, match="would load version 3 of m before its rollout") as raised:
        new_plan(model, 3, served(loads_by_itself=True), {})
    assert "specific" in str(raised.value.hint)
    assert new_plan(model, 2, served(loads_by_itself=True), {}).new == 2
