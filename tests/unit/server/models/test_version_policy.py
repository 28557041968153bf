# SPDX-License-Identifier: Apache-2.0
"""Which versions are served (file_system_storage_path_source.cc)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfs_deploy import protos
from tfs_deploy.savedmodel.versions import VersionDir
from tfs_deploy.server.models.version_policy import VersionPolicy, aspired_versions


def dirs(*names: str) -> list[VersionDir]:
    return [VersionDir(int(name), Path("/base") / name) for name in names]


def numbers(versions: list[VersionDir]) -> list[int]:
    return [version.number for version in versions]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [3]),
        ("latest { }", [3]),
        ("latest { num_versions: 0 }", [3]),
        ("latest { num_versions: 2 }", [2, 3]),
        ("latest { num_versions: 9 }", [-1, 1, 2, 3]),
        ("all { }", [-1, 1, 2, 3]),
        ("specific { versions: 2 versions: 1 versions: 7 }", [1, 2]),
        ("specific { }", []),
    ],
)
def test_policies(text: str, expected: list[int]) -> None:
    message = protos.parse_text(text, protos.ModelConfig().model_version_policy)
    found = dirs("1", "2", "3", "-1")
    assert numbers(aspired_versions(VersionPolicy.from_message(message), found)) == expected


def test_a_specific_version_prefers_the_plain_spelling() -> None:
    policy = VersionPolicy(specific=frozenset({7}))
    for order in (dirs("7", "007"), dirs("007", "7")):
        assert aspired_versions(policy, order)[0].path.name == "7"


def test_two_spellings_of_a_number_are_one_version() -> None:
    assert numbers(aspired_versions(VersionPolicy(all=True), dirs("1", "01"))) == [1]
