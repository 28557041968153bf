# SPDX-License-Identifier: Apache-2.0
"""Versions of TensorFlow, compared."""

from __future__ import annotations

import itertools

import pytest

from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.runtime.tensorflow_version import Version, check_installed, check_producer, satisfies

#: in their order
ORDERED = [
    "1.15",
    "2.9.3",
    "2.10.0.dev20220101",
    "2.10.0a1",
    "2.10.0-rc0",
    "2.10.0rc1",
    "2.10.0",
    "2.10.0.post1",
    "2.10.1",
    "2.21.0",
]


def test_order() -> None:
    for earlier, later in itertools.combinations(ORDERED, 2):
        assert Version(earlier) < Version(later), (earlier, later)
        assert Version(later) > Version(earlier)


@pytest.mark.parametrize(("one", "other"), [("2.10", "2.10.0"), ("2.16.0+nv24.1", "2.16"), ("2.16.0-rc.1", "v2.16rc1")])
def test_equal(one: str, other: str) -> None:
    assert Version(one) == Version(other)
    assert hash(Version(one)) == hash(Version(other))


@pytest.mark.parametrize(
    ("version", "requirement", "met"),
    [
        ("2.10.0", ">=2.9", True),
        ("2.9.0", ">=2.10", False),
        ("2.16.0-rc1", ">=2.16", False),
        ("2.16.0+local", ">=2.16,<3", True),
        ("2.16.2", "==2.16.*", True),
        ("2.16.2", "!=2.16.*", False),
        ("2.16.2", "== 2.16", False),
        ("2.16.2", "~=2.15", True),
        ("2.16.2", "~=2.16.1", True),
        ("2.17.0", "~=2.16.1", False),
        ("2.16.2", ">2.16.2", False),
        ("2.16.2", "<=2.16.2", True),
    ],
)
def test_requirements(version: str, requirement: str, met: bool) -> None:
    assert satisfies(Version(version), requirement) is met


@pytest.mark.parametrize("requirement", ["", ",", "2.15", ">=abc", "=>2.15"])
def test_requirements_that_are_none(requirement: str) -> None:
    with pytest.raises(UsageError, match="requirement"):
        satisfies(Version("2.16"), requirement)


def test_an_unmet_requirement_says_what_to_install() -> None:
    check_installed("2.21.0", None)
    with pytest.raises(UsageError) as caught:
        check_installed("2.21.0", ">=2.22")
    assert caught.value.message == "TensorFlow 2.21.0 is installed, but >=2.22 is required"
    assert caught.value.hint == "pip install 'tensorflow>=2.22'"


@pytest.mark.parametrize(
    ("producer", "refused"), [("2.21.5", False), ("2.22.0-rc0", True), ("1.1.0-rc2", False), ("unknown", False)]
)
def test_models_of_a_newer_tensorflow(producer: str, refused: bool) -> None:
    if not refused:
        check_producer("m/1", producer, "2.21.0")
        return
    with pytest.raises(ModelError, match="written by TensorFlow"):
        check_producer("m/1", producer, "2.21.0")
