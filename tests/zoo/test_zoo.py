# SPDX-License-Identifier: Apache-2.0
"""Real models answer as the original does: six always, all with ``./scripts/test --full``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.catalog import libraries
from zoo.packages import NotInstalledError, pinned
from zoo.trial import RefusedError, build_all, try_model

LIBRARIES = libraries()
#: how a fault of the toolkit shows; a builder that fails is a mistake of the zoo
FAULTS = (RefusedError, AssertionError)

#: seconds of a test: the first of a library waits for the export of them all
pytestmark = pytest.mark.timeout(1800)


def cases() -> list:
    found = []
    for library, about in LIBRARIES.items():
        for name in about.models:
            marks = [] if name in about.always else [pytest.mark.full]
            if name in about.faults:
                marks.append(pytest.mark.xfail(strict=True, raises=FAULTS, reason=about.faults[name]))
            found.append(pytest.param(library, name, marks=marks, id=f"{library}-{name}"))
    return found


@pytest.fixture(scope="module")
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Build what this run asks for, one process for all libraries that need the same, when one of them is asked for."""
    wanted = [
        (item.callspec.params["library"], item.callspec.params["name"])
        for item in request.session.items
        if item.path == request.path and hasattr(item, "callspec") and not item.get_closest_marker("skip")
    ]
    folders: dict[object, Path] = {}

    def needs(library: str) -> tuple:
        return LIBRARIES[library].packages, tuple(LIBRARIES[library].environment.items())

    def folder_with(library: str) -> Path:
        key = needs(library)
        if key not in folders:
            out = tmp_path_factory.mktemp(library)
            names = [f"{each}/{name}" for each, name in wanted if needs(each) == key]
            try:
                build_all(LIBRARIES[library], names, out)
            except NotInstalledError as error:
                if os.environ.get("CI"):
                    pytest.fail(f"CI has every package of the zoo: {error}")
                pytest.skip(str(error))
            folders[key] = out
        return folders[key]

    return folder_with


@pytest.mark.parametrize(("library", "name"), cases())
def test_answers_as_the_original(library, name, built):
    try_model(built(library), f"{library}/{name}")


def test_the_short_form_tries_six_models():
    always = [name for about in LIBRARIES.values() for name in about.always]
    assert len(always) == len(set(always)) == 6


def test_the_long_form_tries_forty_models_of_ten_libraries():
    assert sum(len(about.models) for about in LIBRARIES.values()) >= 40
    assert len(LIBRARIES) >= 10


def test_every_pinned_package_is_needed():
    assert pinned().keys() == {package for about in LIBRARIES.values() for package in about.packages}


def test_faults_are_of_models_that_there_are():
    assert all(about.faults.keys() <= about.models.keys() for about in LIBRARIES.values())
