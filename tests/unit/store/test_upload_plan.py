# SPDX-License-Identifier: Apache-2.0
"""The plan of an upload, the number of a version, and what a publication says: pure."""

from __future__ import annotations

import json

import pytest

from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.savedmodel.formats.checked_json import with_checksum
from tfs_deploy.savedmodel.manifest import FileEntry
from tfs_deploy.store.places.publication import (
    Publication,
    check_name,
    folder_name,
    number_of_folder,
    read_publication,
)
from tfs_deploy.store.places.upload import next_number, plan_upload, same_files

FILES = {
    "saved_model.pb": FileEntry("a" * 64, 300),
    "variables/data": FileEntry("b" * 64, 900),
    "assets/é": FileEntry("c" * 64, 0),
}
PUBLICATION = Publication(7, "d" * 64, "manifest", folder_name(7, FILES), FILES, "ann@host", "2026-01-01", "t")


@pytest.mark.parametrize(
    ("there", "names"),
    [
        ({}, ["variables/data", "saved_model.pb", "assets/é"]),
        ({"variables/data": 900}, ["saved_model.pb", "assets/é"]),
        ({"variables/data": 899}, ["variables/data", "saved_model.pb", "assets/é"]),
        ({"variables/data": 900, "saved_model.pb": 300, "assets/é": 0}, ["assets/é"]),
        ({"other": 5}, ["variables/data", "saved_model.pb", "assets/é"]),
    ],
)
def test_what_is_there_is_left_out_but_the_smallest(there, names):
    plan = plan_upload(FILES, there)
    assert [item.name for item in plan] == names
    assert all((item.size, item.sha256) == (FILES[item.name].size, FILES[item.name].sha256) for item in plan)


@pytest.mark.parametrize(
    ("published", "wanted", "expected"),
    [
        ([], None, 1),
        ([1, 5], None, 6),
        ([0], None, 1),
        ([1], 9, 9),
        ([1], "timestamp", 1000),
        ([1000, 1001], "timestamp", 1002),
        ([2**63 - 2], None, 2**63 - 1),
    ],
)
def test_the_number_of_a_version(published, wanted, expected):
    assert next_number(published, wanted, 1000.7) == expected


def test_after_the_last_number_there_is_none():
    with pytest.raises(UsageError, match="no version number left"):
        next_number([2**63 - 1], None, 0.0)


def test_the_folder_depends_on_every_byte_and_name():
    name = folder_name(7, FILES)
    assert number_of_folder(name) == 7
    assert folder_name(7, dict(reversed(FILES.items()))) == name
    for other in (FILES | {"x": FileEntry("a" * 64, 1)}, FILES | {"saved_model.pb": FileEntry("e" * 64, 300)}):
        assert folder_name(7, other) != name
    assert same_files(name, [name, folder_name(3, FILES), "4-0000000000000000"], [3, 4, 7]) == (3,)
    assert same_files(name, [folder_name(3, FILES)], [7]) == (), "one that is not published is no version"


@pytest.mark.parametrize("name", ["7", "7-", "7-xyz", "x-3f9a0c55be1d2a40", "7-3f9a0c55be1d2a4"])
def test_other_folders_have_no_number(name):
    assert number_of_folder(name) is None


def test_a_publication_is_read_as_it_was_written():
    assert read_publication(PUBLICATION.to_json(), "s3://b/m/published/7.json") == PUBLICATION
    assert (PUBLICATION.total_bytes, PUBLICATION.by) == (1200, "ann@host at 2026-01-01")


@pytest.mark.parametrize(
    "change",
    [
        {"number": -1},
        {"number": True},
        {"number": 8},  # not the number in its folder
        {"format": 2},
        {"kind": "x"},
        {"folder": "../../x"},
        {"files": {"../x": {"sha256": "a" * 64, "size": 1}}},
        {"files": {"a": {"sha256": "short", "size": 1}}},
        {"files": {"a": {"sha256": "a" * 64, "size": -1}}},
        {"files": {"a": {"sha256": "a" * 64, "size": 1}, "a/b": {"sha256": "a" * 64, "size": 1}}},
        {"files": []},
        {"token": 7},
        {"digest": None},
    ],
)
def test_a_publication_that_was_made_up_is_refused(change):
    document = json.loads(PUBLICATION.to_json())
    del document["crc32c"]
    with pytest.raises(ModelError, match="is not a valid publication"):
        read_publication(json.dumps(with_checksum(document | change)).encode(), "s3://b/m/published/7.json")


@pytest.mark.parametrize(
    "name", ["", "/etc/passwd", "../x", "a/../b", "a//b", "./a", "a/", "a\\b", "a\nb", "a\x7f", "\udc80", "x" * 256]
)
def test_names_that_lead_elsewhere_or_that_no_store_holds_are_refused(name):
    with pytest.raises(UsageError):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "a/b.c", "Wörter 語 %41.txt", ".hidden", "a..b", "-", " a "])
def test_other_names_are_fine(name):
    assert check_name(name) == name
