"""How a rollout begins: from what is served, to what is on disk."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tfs_deploy.config.deployment import VersionPolicy
from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.begin import Served, new_plan
from tfs_deploy.rollout.ports import AVAILABLE, ServerView, VersionView


@pytest.fixture
def model(tmp_path):
    for number in (1, 2):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "saved_model.pb").touch()
    return SimpleNamespace(name="m", base_path=tmp_path, labels={}, version_policy=VersionPolicy.latest())


def served(version: int, **labels: int) -> Served:
    return Served(ServerView({version: VersionView(AVAILABLE)}, labels), version, {}, {"stable": 100.0})


def test_the_newest_version_on_disk_is_rolled_out_by_default(model):
    plan = new_plan(model, None, served(1, stable=1), {})

    assert (plan.old, plan.new) == (1, 2)


def test_a_server_that_loads_the_newest_version_by_itself_leaves_nothing_to_roll_out(model):
    with pytest.raises(UsageError, match="has loaded version 2 of m by itself: versions is not specific") as caught:
        new_plan(model, 2, served(2), {})
    assert "pin the version" in caught.value.hint

    with pytest.raises(UsageError, match="version 2 of m is what stable points at already"):
        new_plan(model, 2, served(2, stable=2), {})
