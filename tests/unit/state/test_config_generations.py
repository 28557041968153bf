# SPDX-License-Identifier: Apache-2.0
"""Generations of the config that a server reads, and the link to the one in use."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.state.config_generations import drop_generations, new_generation, use_generation


def test_generations_follow_each_other_and_the_link_moves_at_once(tmp_path):
    first = new_generation(tmp_path)
    (first / "models.config").write_text("1")
    use_generation(tmp_path, first)
    second = new_generation(tmp_path)
    (second / "models.config").write_text("2")
    assert (tmp_path / "config/models.config").read_text() == "1"
    use_generation(tmp_path, second)
    assert (tmp_path / "config/models.config").read_text() == "2"
    drop_generations(tmp_path, ())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config", "config.2"]


def test_a_config_directory_of_before_is_kept_as_a_generation(tmp_path):
    (tmp_path / "config").mkdir()
    (tmp_path / "config/models.config").write_text("0")
    use_generation(tmp_path, new_generation(tmp_path))
    assert (tmp_path / "config.0/models.config").read_text() == "0"


def test_a_generation_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(EnvironmentFault, match=r"config\.1 cannot be made"):
        new_generation(tmp_path / "file")
