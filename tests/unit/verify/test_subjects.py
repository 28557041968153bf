# SPDX-License-Identifier: Apache-2.0
"""The versions that a path or a deployment file stands for."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tfs_deploy.deployment.active import ActiveModel
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import UsageError
from tfs_deploy.runtime.model_location import locate
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.lint.rules import LintedModel
from tfs_deploy.state.active import write_active
from tfs_deploy.verify.staging import staged_models
from tfs_deploy.verify.subjects import subjects_of_deployment, subjects_of_directory

PLAIN = Path(__file__).parents[2] / "data/verify/plain/1"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    for number in (1, 2, 10):
        shutil.copytree(PLAIN, tmp_path / "shop" / str(number))
    shutil.copytree(PLAIN, tmp_path / "other/1")
    return tmp_path / "shop"


def test_a_base_path_means_its_newest_version(base):
    (subject,) = subjects_of_directory(base)
    assert (subject.name, subject.version, subject.path) == ("shop", 10, base / "10")
    (subject,) = subjects_of_directory(base / "2", name="other", baseline="1")
    assert (str(subject), subject.baseline) == ("other 2", base / "1")


def test_a_directory_without_number_is_served_as_version_1(base, tmp_path):
    shutil.copytree(PLAIN, tmp_path / "out")
    (subject,) = subjects_of_directory(tmp_path / "out", baseline=str(base))
    assert (str(subject), subject.baseline) == ("out 1", base / "10")
    (model,) = staged_models([subject], tmp_path / "work", with_baseline=False)
    assert (model.base_path / "1/saved_model.pb").samefile(tmp_path / "out/saved_model.pb")


def test_zero_is_a_number(tmp_path):
    shutil.copytree(PLAIN, tmp_path / "shop/0")
    assert str(subjects_of_directory(tmp_path / "shop")[0]) == "shop 0"


def test_a_version_that_lost_its_graph_is_still_the_one_that_is_meant(base):
    (base / "10/saved_model.pb").unlink()
    assert subjects_of_directory(base / "10")[0].version == 10


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("nowhere", {}, "does not exist"),
        ("shop/1/saved_model.pb", {}, "is a file"),
        ("shop/1/variables", {}, "no version directory"),
        ("shop", {"name": "a/b"}, "not a valid model name"),
        ("shop", {"baseline": "7"}, "has no version 7"),
        ("shop", {"baseline": "nowhere"}, "not a directory"),
    ],
)
def test_what_is_no_version_is_a_usage_error(base, path, options, message):
    with pytest.raises(UsageError, match=message):
        subjects_of_directory(base.parent / path, **options)


FILE = """
name: shop
server: {target: embedded}
models:
  - {name: shop, base_path: shop, versions: {specific: [1, 2]}, labels: {stable: 1, canary: 2}}
  - {name: second, base_path: other}
"""


def test_a_deployment_file_means_every_version_that_it_serves(base):
    path = base.parent / "shop.yaml"
    path.write_text(FILE)
    deployment = load_deployment(path)
    subjects = subjects_of_deployment(deployment)
    assert [(str(each), each.labels) for each in subjects] == [
        *(("shop 1", ("stable",)), ("shop 2", ("canary",)), ("second 1", ()))
    ]
    with_baseline = subjects_of_deployment(deployment, name="shop", baseline="1")
    assert [(str(each), each.baseline) for each in with_baseline] == [("shop 2", base / "1")]
    with pytest.raises(UsageError, match="belongs to one model"):
        subjects_of_deployment(deployment, baseline="1")
    with pytest.raises(UsageError, match="no model 'shp'"):
        subjects_of_deployment(deployment, name="shp")


def test_a_version_that_a_file_names_and_that_is_not_there_is_one_to_verify(base):
    shutil.rmtree(base / "2")
    path = base.parent / "shop.yaml"
    path.write_text(FILE)
    assert "shop 2" in [str(each) for each in subjects_of_deployment(load_deployment(path))]


def test_labels_are_those_that_a_rollout_moved(base):
    path = base.parent / "shop.yaml"
    path.write_text(FILE)
    deployment = load_deployment(path)
    moved = ActiveModel.of(deployment.model("shop"), (2,), {"stable": 2})
    write_active(deployment.state_dir, {"shop": moved})
    subjects = subjects_of_deployment(deployment, name="shop")
    assert [(str(each), each.labels) for each in subjects] == [("shop 2", ("stable",))]


def test_a_linked_version_has_its_own_number_and_base_path(base, tmp_path):
    (base / "1").rename(tmp_path / "sha-abc")
    (base / "11").symlink_to(tmp_path / "sha-abc")
    for path in (base, base / "11"):
        (subject,) = subjects_of_directory(path, baseline="10")
        assert (str(subject), subject.baseline) == ("shop 11", base / "10")
    (base / "current").symlink_to("2")
    assert str(subjects_of_directory(base / "current")[0]) == "shop 2"
    info = inspect_model(base / "11")
    assert (info.version, info.model) == (11, "shop")
    assert [version.number for version in LintedModel(info).siblings] == [2, 10, 11]
    assert locate(base / "11", version=None, label=None, model=None).version == 11
