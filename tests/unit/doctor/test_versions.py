# SPDX-License-Identifier: Apache-2.0
"""Versions and requirements, held against the library of the package index."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.doctor.versions import Requirement, compare, fits

packaging_version = pytest.importorskip("packaging.version")
packaging_specifiers = pytest.importorskip("packaging.specifiers")

numbers = st.lists(st.integers(0, 30), min_size=1, max_size=4).map(lambda parts: ".".join(map(str, parts)))
versions = st.builds("".join, st.tuples(numbers, st.sampled_from(["", "", "rc1", ".dev3", "a2", ".post1", "+cu12"])))


@given(one=numbers, other=numbers)
def test_order_of_releases(one, other):
    first, second = packaging_version.Version(one), packaging_version.Version(other)
    assert compare(one, other) == (first > second) - (first < second)


@given(version=numbers, operator=st.sampled_from(["<", "<=", ">", ">=", "==", "!=", "~="]), limit=numbers)
def test_ranges_of_releases(version, operator, limit):
    if operator == "~=" and "." not in limit:
        limit += ".0"
    wanted = f"{operator}{limit}"
    assert fits(version, wanted) == packaging_specifiers.SpecifierSet(wanted).contains(version)


@given(version=versions, limit=numbers)
def test_pre_releases_come_before_their_release(version, limit):
    wanted = packaging_specifiers.SpecifierSet(f">={limit},<99")
    assert fits(version, f">={limit},<99") == wanted.contains(version, prereleases=True)


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("2.21.0", ">=2.16,<3", True),
        ("2.16.0rc1", ">=2.16", False),
        ("8.0.0rc1", "<8", False),
        ("6.31.1", "!=4.21.0,!=4.21.1,<8.0.0,>=6.31.1", True),
        ("2.20.1", "==2.20.*", True),
        ("2.21.0", "==2.20.*", False),
        ("2.21.0", "!=2.20.*", True),
        ("1.0", "", True),
    ],
)
def test_ranges_as_packages_write_them(version, wanted, expected):
    assert fits(version, wanted) is expected


HERE = {"python_version": "3.11", "sys_platform": "linux", "platform_machine": "x86_64"}


@pytest.mark.parametrize(
    ("line", "name", "wanted", "extra", "applies"),
    [
        ("protobuf<8.0.0,>=6.31.1", "protobuf", "<8.0.0,>=6.31.1", None, True),
        ("tensorflow (<3,>=2.21.0)", "tensorflow", "<3,>=2.21.0", None, True),
        ("ml_dtypes >= 0.5 ; python_version < '3.13'", "ml-dtypes", ">=0.5", None, True),
        ('numpy>=2.1; python_version >= "3.13"', "numpy", ">=2.1", None, False),
        ('a>=1; sys_platform == "win32" and python_version < "3.12"', "a", ">=1", None, False),
        ('a>=1; sys_platform == "win32" or python_version < "3.12"', "a", ">=1", None, True),
        ('a; (sys_platform != "win32") and extra == "gcs"', "a", "", "gcs", False),
        ("uvicorn[standard]>=0.30; extra == 'server'", "uvicorn", ">=0.30", "server", False),
        ('a; os_name == "nt"', "a", "", None, False),
    ],
)
def test_requirements(line, name, wanted, extra, applies):
    found = Requirement.parse(line)
    assert found is not None
    assert (found.name, found.range, found.extra(), found.applies(HERE)) == (name, wanted, extra, applies)


def test_a_requirement_by_address_is_none():
    assert Requirement.parse("a @ https://example.com/a.whl") is None
