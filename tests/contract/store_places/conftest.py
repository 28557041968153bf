# SPDX-License-Identifier: Apache-2.0
"""The places of the contract, each in a store that runs on this machine; every test has a prefix of its own."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import object_stores
from support.npm import NotInstalledError
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.manifest import build_manifest, signature_digest, write_manifest

if TYPE_CHECKING:
    from support.object_stores import Store

PLAIN = Path(__file__).parents[2] / "data/verify/plain/1"
_counter = itertools.count()


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory):
    with object_stores.seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as store:
        yield store


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    with object_stores.moto(tmp_path_factory.mktemp("moto")) as store:
        yield store


@pytest.fixture(scope="session")
def azurite(tmp_path_factory):
    try:
        program = object_stores.azurite_program()
    except NotInstalledError as error:
        pytest.skip(f"no Azurite: {error}")
    with object_stores.azurite(program, tmp_path_factory.mktemp("azurite")) as store:
        yield store


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    if shutil.which("docker-registry") is None:
        pytest.skip("no docker-registry")
    with object_stores.registry(tmp_path_factory.mktemp("registry")) as store:
        yield store


@pytest.fixture(params=["seaweedfs", "moto", "azurite"])
def store(request, monkeypatch) -> Store:
    """An object store, and the environment that leads to it."""
    return reach(request.getfixturevalue(request.param), monkeypatch)


@pytest.fixture
def weed(seaweedfs, monkeypatch) -> Store:
    """The object store of tests that need no other."""
    return reach(seaweedfs, monkeypatch)


@pytest.fixture
def images(registry, tmp_path, monkeypatch) -> Store:
    """The registry, and no credentials."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    return registry


@pytest.fixture(params=["directory", "seaweedfs", "moto", "azurite", "registry"])
def address(request, tmp_path, monkeypatch) -> str:
    """The address of an empty place of each kind."""
    if request.param == "directory":
        return str(tmp_path / "place/digits")
    return fresh(reach(request.getfixturevalue(request.param), monkeypatch))


def reach(store: Store, monkeypatch) -> Store:
    for key, value in store.environment.items():
        monkeypatch.setenv(key, value)
    return store


def fresh(store: Store) -> str:
    """Return the address of an empty place."""
    return f"{store.root}/{next(_counter)}/digits"


@pytest.fixture
def new_address():
    return fresh


@pytest.fixture
def version(tmp_path) -> Path:
    """A version with a manifest, an empty asset, one with a name in Unicode and a hidden one."""
    return make_version(tmp_path / "new/digits/1")


@pytest.fixture
def make(tmp_path):
    """Makes versions whose files differ from one another."""
    return lambda name: make_version(tmp_path / f"new/{name}/1", name)


def make_version(folder: Path, text: str = "") -> Path:
    shutil.copytree(PLAIN, folder)
    assets = folder / "assets"
    assets.mkdir(exist_ok=True)
    (assets / "empty").write_bytes(b"")
    (assets / "Wörter 語 %41.txt").write_text(f"naïve {text}")
    (assets / ".hidden").write_text("x")
    write_manifest(folder, build_manifest(folder, signature_digest=signature_digest(inspect_model(folder).signatures)))
    return folder
