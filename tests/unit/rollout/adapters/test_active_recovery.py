# SPDX-License-Identifier: Apache-2.0
"""A damaged record of what rollouts have set: read out of the config file that was written with it, or left alone."""

from __future__ import annotations

import pytest

from tfs_deploy.config import write_config
from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.rollout.adapters.active_recovery import active_records, mend
from tfs_deploy.state.active import read_active, write_active

FILE = """
name: shop
server: {grpc_port: 8500}
models:
  - {name: moved, base_path: models/a, versions: {specific: [1]}, labels: {stable: 1}}
  - {name: still, base_path: models/b, versions: {specific: [4, 5]}, labels: {stable: 5, old: 4}}
  - {name: newest, base_path: models/c, versions: latest}
  - {name: pinned, base_path: models/d, versions: all}
"""


@pytest.fixture
def deployment(tmp_path):
    """Of four models rollouts have moved two; the files are as a rollout leaves them."""
    for name in "abcd":
        (tmp_path / "models" / name).mkdir(parents=True)
    (tmp_path / "shop.yaml").write_text(FILE)
    deployment = load_deployment(tmp_path / "shop.yaml")
    active = {
        "moved": ActiveModel.of(deployment.model("moved"), (1, 2), {"stable": 1, "canary": 2}),
        "pinned": ActiveModel.of(deployment.model("pinned"), (3,), {"stable": 3}),
    }
    write_config(deployment, deployment.config_dir, active)
    write_active(deployment.state_dir, active)
    return deployment


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"[]", b"null", b'{"models": {"moved": {"versions": "x"}}}', b"\xff\xfe"]
)
def test_a_damaged_record_is_read_out_of_the_servers_own_config_and_mended(deployment, damage):
    path = deployment.state_dir / "active.json"
    whole = read_active(deployment.state_dir)
    assert active_records(deployment) == whole
    path.write_bytes(damage)

    assert active_records(deployment) == whole
    assert path.read_bytes() == damage
    mend(deployment)
    assert read_active(deployment.state_dir) == whole


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text("model_config_list {")])
def test_where_neither_can_be_read_it_says_what_to_do_and_writes_nothing(deployment, spoil):
    path = deployment.state_dir / "active.json"
    path.write_bytes(b"{")
    spoil(deployment.config_dir / "models.config")

    for act in (active_records, mend):
        with pytest.raises(
            EnvironmentFault,
            match=r"active\.json is damaged: .*, and models\.config, from which it could be restored, cannot be read",
        ) as caught:
            act(deployment)
        assert caught.value.hint.startswith(f"tfs-deploy status {deployment.source}; repair ")
        assert caught.value.hint.endswith("; then tfs-deploy rollout resume")
    assert path.read_bytes() == b"{"


def test_a_deleted_record_is_followed_as_a_wish(deployment):
    (deployment.state_dir / "active.json").unlink()
    mend(deployment)
    assert active_records(deployment) == {}
