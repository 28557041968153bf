# SPDX-License-Identifier: Apache-2.0
"""A rollout of one model leaves all others as they are served, whatever the deployment file says by now."""

from __future__ import annotations

import pytest
import yaml

from tfs_deploy.config import model_server_config, parse, write_config
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.rollout.adapters.served_config import DeployedConfig
from tfs_deploy.state.active import read_active
from tfs_deploy.state.endpoint import write_endpoint

SERVED = {
    "a": {"base_path": "models/a", "versions": {"specific": [1]}, "labels": {"stable": 1}},
    "b": {"base_path": "models/b", "versions": {"specific": [4]}, "labels": {"stable": 4}},
    "c": {"base_path": "models/c"},
}


def load(folder, models):
    document = {
        "name": "shop",
        "server": {"grpc_port": 8500},
        "models": [{"name": name, **section} for name, section in models.items()],
    }
    for name in models:
        (folder / "models" / name).mkdir(parents=True, exist_ok=True)
    (folder / "shop.yaml").write_text(yaml.safe_dump(document))
    return load_deployment(folder / "shop.yaml")


@pytest.fixture
def edited(tmp_path):
    """A deployment that is up; since then b was edited, c removed and d added in its file."""
    served = load(tmp_path, SERVED)
    write_config(served, served.config_dir)
    write_endpoint(served.state_dir, "127.0.0.1:8500", None)
    moved = {**SERVED["b"], "versions": {"specific": [5]}, "labels": {"stable": 5}}
    return load(tmp_path, {"a": SERVED["a"], "b": moved, "d": {"base_path": "models/d"}})


def entries(message):
    return {entry.name: entry for entry in message.model_config_list.config}


def test_edits_that_wait_for_the_next_up_do_not_come_into_force(edited):
    file = edited.config_dir / "models.config"
    before = entries(parse(file.read_text()))
    config = DeployedConfig(edited, "a", own=True)
    state = config.after(config.read(), (1, 2), {"stable": 1, "canary": 2})

    config.write(state)

    after = entries(config.message(state))
    assert list(after) == list(before) == ["a", "b", "c"]
    assert (after["b"], after["c"]) == (before["b"], before["c"])
    assert list(after["a"].model_version_policy.specific.versions) == [1, 2]
    assert dict(after["a"].version_labels) == {"stable": 1, "canary": 2}
    assert entries(parse(file.read_text())) == after
    assert read_active(edited.state_dir)["a"].versions == (1, 2)


def test_what_is_put_back_after_a_refusal_is_what_was_served(edited):
    file = edited.config_dir / "models.config"
    before = file.read_text()
    config = DeployedConfig(edited, "b", own=True)
    config.write(config.after({}, (4, 5), {"stable": 4}))
    assert file.read_text() != before

    config.write({})

    assert file.read_text() == before
    assert config.message({}) == parse(before)


def test_a_model_that_is_not_served_yet_is_added(edited):
    config = DeployedConfig(edited, "d", own=True)
    after = entries(config.message(config.after({}, (1,), {"stable": 1})))
    assert list(after) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("why", ["replicas", "never up", "no config", "damaged config"])
def test_where_up_does_not_run_the_server_the_deployment_file_says_what_is_served(edited, why):
    if why == "never up":
        (edited.state_dir / "endpoint.json").unlink()
    elif why == "no config":
        (edited.config_dir / "models.config").unlink()
    elif why == "damaged config":
        (edited.config_dir / "models.config").write_text("model_config_list {")
    config = DeployedConfig(edited, "a", own=why != "replicas")
    state = config.after({}, (1, 2), {"stable": 1})

    config.write(state)

    assert config.message(state) == model_server_config(edited, state)
    assert entries(parse((edited.config_dir / "models.config").read_text())) == entries(config.message(state))
