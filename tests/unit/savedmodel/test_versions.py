# SPDX-License-Identifier: Apache-2.0
"""What the server takes for a version directory."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.versions import (
    find_version,
    latest_version,
    list_versions,
    named_folder,
    next_version,
    version_number,
)


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("1", 1),
        ("00000123", 123),
        ("-1", -1),
        ("+7", 7),
        (" 5", 5),
        ("9223372036854775807", 2**63 - 1),
        ("-9223372036854775808", -(2**63)),
        ("9223372036854775808", None),
        ("0" * 5000 + "1", 1),
        ("1" * 5000, None),
        ("5.tmp", None),
        (".tmp-5", None),
        ("tmp_5", None),
        ("v1", None),
        ("", None),
        ("-", None),
        ("1_000", None),
        ("\N{ARABIC-INDIC DIGIT ONE}", None),
    ],
)
def test_numbers_as_the_server_reads_them(name: str, number: int | None) -> None:
    assert version_number(name) == number


def test_versions_are_sorted_by_number_and_files_count(tmp_path) -> None:
    for name in ("10", "9", "007", "notes", "9.tmp"):
        (tmp_path / name).mkdir()
    (tmp_path / "8").write_text("a plain file")
    assert [(v.number, v.path.name) for v in list_versions(tmp_path)] == [(7, "007"), (8, "8"), (9, "9"), (10, "10")]
    assert latest_version(tmp_path).number == 10
    assert next_version(tmp_path) == 11


def test_next_version_starts_at_one(tmp_path) -> None:
    assert next_version(tmp_path) == 1
    assert next_version(tmp_path / "absent") == 1
    (tmp_path / "-5").mkdir()
    assert next_version(tmp_path) == 1


def test_the_plain_spelling_wins(tmp_path) -> None:
    for name in ("01", "1", "001"):
        (tmp_path / name).mkdir()
    assert find_version(tmp_path, 1).path.name == "1"


def test_errors_name_the_path_and_what_is_there(tmp_path) -> None:
    (tmp_path / "3").mkdir()
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="has no version 4") as caught:
        find_version(tmp_path, 4)
    assert caught.value.hint == "versions there: 3"
    with pytest.raises(ModelError, match="holds no version directory"):
        latest_version(tmp_path / "3")
    with pytest.raises(ModelError, match=r"absent does not exist"):
        list_versions(tmp_path / "absent")
    with pytest.raises(ModelError, match=r"file is a file, not a directory"):
        list_versions(tmp_path / "file")


@pytest.mark.parametrize(
    ("link", "target", "name"),
    [
        ("digits/5", "store/sha-abc", "digits/5"),
        ("digits/5", "store/9", "digits/5"),
        ("digits/current", "digits/7", "digits/7"),
        ("digits/current", "store/sha-abc", "digits/current"),
    ],
)
def test_a_linked_version_counts_by_its_own_name(tmp_path, monkeypatch, link, target, name) -> None:
    (tmp_path / target).mkdir(parents=True)
    (tmp_path / "digits").mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / target)
    assert named_folder(tmp_path / link) == tmp_path / name
    monkeypatch.chdir(tmp_path / "digits")
    assert named_folder(f"{link.partition('/')[2]}/.") == tmp_path / name
