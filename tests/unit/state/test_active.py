# SPDX-License-Identifier: Apache-2.0
"""The file of what rollouts left in force."""

from __future__ import annotations

import pytest

from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.state.active import read_active, write_active


def test_records_are_written_and_read(tmp_path):
    active = {"m": ActiveModel((1, 2), {"stable": 1}, "sha256:x"), "n": ActiveModel((3,))}
    assert read_active(tmp_path / "new") == {}
    path = write_active(tmp_path / "new", active)
    assert path == tmp_path / "new/active.json"
    assert read_active(tmp_path / "new") == active
    write_active(tmp_path / "new", {})
    assert read_active(tmp_path / "new") == {}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"models": {"m": {}}}', '{"models": {"m": {"versions": ["x"]}}}']
)
def test_a_damaged_record_is_never_taken_for_none(tmp_path, text):
    (tmp_path / "active.json").write_text(text)
    with pytest.raises(EnvironmentFault, match="damaged") as caught:
        read_active(tmp_path)
    assert "delete it" in str(caught.value.hint)
