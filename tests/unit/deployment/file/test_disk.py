# SPDX-License-Identifier: Apache-2.0
"""A deployment file held against the models on disk."""

from __future__ import annotations

import shutil

import pytest

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import SpecError


@pytest.fixture
def shop(tmp_path, models):
    """Write a file over a base path with versions 1, 2 and 3; returns a function of the model's further keys."""
    for number in ("1", "2", "00000003"):
        shutil.copytree(models / "zoo/1", tmp_path / "m" / number)

    def write(keys: str = "", base_path: str = "m", server: str = "{}"):
        path = tmp_path / "shop.yaml"
        path.write_text(f"name: a\nserver: {server}\nmodels:\n  - name: m\n    base_path: {base_path}\n{keys}")
        return path

    return write


def problems(path) -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_deployment(path, check_disk=True)
    return [str(problem).replace(f"{path.parent}/", "") for problem in caught.value.problems]


@pytest.mark.parametrize(
    "keys",
    [
        "",
        "    versions: all\n    labels: {old: 1, new: 3}\n",
        "    versions: {latest: 2}\n",
        "    versions: {specific: [1]}\n    labels: {old: 1}\n",
    ],
)
def test_what_is_there_is_right(shop, keys):
    load_deployment(shop(keys), check_disk=True)


def test_without_the_disk_nothing_has_to_be_there(shop):
    load_deployment(shop(base_path="nowhere"))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (
            "    versions: {specific: [1, 7]}\n",
            "6: models[0].versions.specific: version 7 is not on disk, m has 1, 2, 3",
        ),
        ("    versions: all\n    labels: {a: 9}\n", "7: models[0].labels.a: version 9 is not on disk, m has 1, 2, 3"),
    ],
)
def test_versions_that_are_not_there(shop, keys, expected):
    assert problems(shop(keys)) == [f"shop.yaml:{expected}"]


@pytest.mark.parametrize(
    ("base_path", "message"),
    [
        ("m", "versions.specific: version 7 is not on disk, m has 1, 2, 3"),
        ("nowhere", "base_path: base path nowhere does not exist"),
        ("empty", "base_path: empty holds no version: no directory in it has a number as its name"),
    ],
)
def test_versions_that_may_be_in_the_store(shop, tmp_path, base_path, message):
    (tmp_path / "empty").mkdir()
    keys = "    versions: {specific: [7]}\n    store: s3://models/m\n"
    (problem,) = problems(shop(keys, base_path=base_path))
    assert problem.endswith(f"models[0].{message}; tfs-deploy pull gets versions out of its store")


def test_a_base_path_without_versions(shop, tmp_path):
    (tmp_path / "empty" / "v1").mkdir(parents=True)
    assert problems(shop(base_path="empty")) == [
        "shop.yaml:5: models[0].base_path: empty holds no version: no directory in it has a number as its name"
    ]


@pytest.mark.parametrize(
    ("base_path", "why"),
    [
        ("m/2", "it is one itself, write m (and versions: {specific: [2]} for this one)"),
        ("plain", "it is a SavedModel itself, move it into plain/1"),
    ],
)
def test_a_base_path_that_is_a_version(shop, models, tmp_path, base_path, why):
    shutil.copytree(models / "zoo/1", tmp_path / "plain")
    assert problems(shop(base_path=base_path)) == [
        f"shop.yaml:5: models[0].base_path: {base_path} holds no version: {why}"
    ]


def test_a_base_path_that_is_a_file(shop, tmp_path):
    (tmp_path / "file").touch()
    assert "is a file, not a directory" in problems(shop(base_path="file"))[0]


def test_a_served_version_without_saved_model(shop, tmp_path):
    (tmp_path / "m/2/saved_model.pb").unlink()
    load_deployment(shop(), check_disk=True)  # latest is 3, so 2 is not asked for
    assert problems(shop("    versions: all\n")) == [
        "shop.yaml:5: models[0].base_path: version directory m/2 has no saved_model.pb"
    ]


def test_a_file_whose_name_is_a_number_is_taken_for_a_version(shop, tmp_path):
    (tmp_path / "m/4").touch()
    assert problems(shop()) == ["shop.yaml:5: models[0].base_path: m/4 is named like a version, but is not a directory"]


def test_lite_models_count_where_the_server_prefers_them(shop, tmp_path):
    (tmp_path / "m/00000003/saved_model.pb").rename(tmp_path / "m/00000003/model.tflite")
    assert "has no saved_model.pb" in problems(shop())[0]
    load_deployment(shop(server="{flags: {prefer_tflite_model: true}}"), check_disk=True)


@pytest.mark.parametrize("base_path", ["s3://bucket/m", "~/m", "gs://bucket/m"])
def test_a_base_path_that_was_refused_is_not_looked_for(shop, base_path):
    assert len(problems(shop(base_path=base_path))) == 1
