# SPDX-License-Identifier: Apache-2.0
"""What every place promises: a directory, and the object stores that run here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tfs_deploy.errors import ModelError, UsageError, VerdictError
from tfs_deploy.savedmodel.manifest import verify_manifest
from tfs_deploy.store.identity import identify
from tfs_deploy.store.places.opened import open_place
from tfs_deploy.store.places.pull import pull_version


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_version_travels_there_and_back_byte_by_byte(address, version, tmp_path):
    place = open_place(address)
    assert place.versions() == {}
    done = place.publish(version)
    assert (done.publication.number, done.same_as) == (1, ())
    assert done.publication.digest == identify(version).digest
    assert list(place.versions()) == [1]
    pulled = pull_version(place, None, tmp_path / "models/digits")
    assert (pulled.version, pulled.pulled, pulled.path) == (1, True, tmp_path / "models/digits/1")
    assert content(pulled.path) == content(version)
    assert verify_manifest(pulled.path) == []
    assert sorted(path.name for path in (tmp_path / "models/digits").iterdir()) == ["1"], "no staging is left"


def test_numbers_follow_each_other_and_the_same_files_are_told(address, version, make):
    place = open_place(address)
    assert place.publish(version).publication.number == 1
    assert place.publish(make("other")).same_as == ()
    again = place.publish(version)
    assert (again.publication.number, again.same_as) == (3, (1,))
    assert place.publish(version, 7).publication.number == 7
    assert place.publish(version).publication.number == 8
    assert place.publish(version, "timestamp").publication.number > 1_000_000_000
    assert list(place.versions())[:5] == [1, 2, 3, 7, 8]


def test_a_number_that_is_taken_is_refused(address, version, make):
    place = open_place(address)
    place.publish(version, 3)
    with pytest.raises(UsageError, match="version 3 already exists") as raised:
        place.publish(make("other"), 3)
    assert "leave the number out to get 4" in str(raised.value)
    assert place.publication(3).digest == identify(version).digest


def test_a_second_pull_finds_the_version_and_another_one_of_that_number_is_refused(address, version, make, tmp_path):
    place = open_place(address)
    place.publish(version)
    base = tmp_path / "models/digits"
    pull_version(place, 1, base)
    inode = (base / "1").stat().st_ino
    assert pull_version(place, 1, base).pulled is False
    assert (base / "1").stat().st_ino == inode
    shutil.rmtree(base / "1")
    shutil.copytree(make("other"), base / "1")
    with pytest.raises(UsageError, match="has other files than version 1"):
        pull_version(place, 1, base)


def test_a_version_without_a_manifest_keeps_exactly_its_files(address, version, tmp_path):
    (version / "assets.extra/tfs_deploy.json").unlink()
    place = open_place(address)
    assert place.publish(version).publication.digest == identify(version).digest
    pulled = pull_version(place, 1, tmp_path / "models/digits")
    assert content(pulled.path) == content(version)
    assert identify(pulled.path) == identify(version)


def test_a_version_that_is_not_there_is_named_with_those_that_are(address, version, tmp_path):
    place = open_place(address)
    place.publish(version, 4)
    with pytest.raises(ModelError, match="has no version 9") as raised:
        pull_version(place, 9, tmp_path / "models/digits")
    assert "4" in str(raised.value.hint)
    assert not (tmp_path / "models").exists()


def test_an_empty_place_is_named(address, tmp_path):
    with pytest.raises(ModelError, match="holds no published version"):
        pull_version(open_place(address), None, tmp_path / "models/digits")


def test_a_version_that_changed_since_its_export_is_not_published(address, version):
    (version / "assets/empty").write_bytes(b"no more")
    place = open_place(address)
    with pytest.raises(VerdictError, match="has changed since the export"):
        place.publish(version)
    assert place.versions() == {}


def test_a_change_that_keeps_the_size_is_found_too(address, version):
    asset = version / "assets/.hidden"
    asset.write_bytes(b"y" * asset.stat().st_size)
    place = open_place(address)
    with pytest.raises(VerdictError, match="has changed since the export"):
        place.publish(version)
    assert place.versions() == {}


def test_a_check_that_refuses_keeps_the_version_back(address, version):
    def check(_: Path) -> None:
        raise VerdictError("the verdict says no")

    place = open_place(address)
    with pytest.raises(VerdictError, match="says no"):
        place.publish(version, check=check)
    assert place.versions() == {}


def test_a_removed_version_is_gone_and_the_others_stay(address, version, tmp_path):
    place = open_place(address)
    place.publish(version)
    place.publish(version)
    place.remove(1)
    place.remove(1)  # what is gone already is no mistake
    assert list(place.versions()) == [2]
    assert content(pull_version(place, 2, tmp_path / "models/digits").path) == content(version)
    assert place.clean(0) == []


def test_progress_is_told_in_bytes(address, version, tmp_path):
    place, sent, got = open_place(address), [], []
    total = sum(map(len, content(version).values()))
    place.publish(version, report=sent.append)
    pull_version(place, 1, tmp_path / "models/digits", report=got.append)
    assert sum(sent) == sum(got) == total
