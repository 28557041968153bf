# SPDX-License-Identifier: Apache-2.0
"""Where the server finds the versions to verify."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tfs_deploy.errors import UsageError
from tfs_deploy.verify.staging import staged_models
from tfs_deploy.verify.subjects import Subject

PLAIN = Path(__file__).parents[2] / "data/verify/plain/1"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for number in (1, 2, 10):
        shutil.copytree(PLAIN, tmp_path / "shop" / str(number))
    shutil.copytree(PLAIN, tmp_path / "other/1")
    return tmp_path / "shop"


def test_numbered_versions_are_served_from_where_they_lie(base, tmp_path):
    subjects = [Subject("shop", 2, base / "2", ("stable",)), Subject("shop", 10, base / "10", baseline=base / "1")]
    (model,) = staged_models(subjects, tmp_path / "work", with_baseline=False)
    assert (model.base_path, model.version_policy.versions, model.labels) == (base, (2, 10), {"stable": 2})
    _, baseline = staged_models(subjects, tmp_path / "work", with_baseline=True)
    assert baseline.name == "shop.baseline"
    assert (baseline.base_path / "1/saved_model.pb").is_file()


def test_a_link_out_of_a_version_that_is_staged_is_refused(base, tmp_path):
    candidate = tmp_path / "candidate"
    shutil.copytree(PLAIN, candidate)
    (candidate / "inside").symlink_to("saved_model.pb")
    subject = Subject("shop", 3, candidate)
    (model,) = staged_models([subject], tmp_path / "work", with_baseline=False)
    assert not (model.base_path / "3/inside").is_symlink()
    assert (model.base_path / "3/inside").read_bytes() == (PLAIN / "saved_model.pb").read_bytes()
    (tmp_path / "key").write_text("secret")
    (candidate / "assets.extra").symlink_to(tmp_path / "key")
    with pytest.raises(UsageError, match=r"assets\.extra is a link that leads out of"):
        staged_models([subject], tmp_path / "again", with_baseline=False)
    assert not list((tmp_path / "again").rglob("assets.extra"))
