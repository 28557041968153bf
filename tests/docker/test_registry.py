# SPDX-License-Identifier: Apache-2.0
"""A version in a registry is an image that the engine pulls, with the number folder in it."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from support import object_stores
from tfs_deploy.store.places.oci import place as oci_place
from tfs_deploy.store.places.oci.layer import plan_layers
from tfs_deploy.store.places.opened import open_place

PLAIN = Path(__file__).parents[1] / "data/verify/plain/1"


def docker(*line: str) -> str:
    done = subprocess.run(["docker", *line], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def content(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("least", [64 << 20, 100], ids=["one layer", "several layers"])
def test_the_engine_pulls_a_version_with_its_number(engine, tmp_path, monkeypatch, least):
    if shutil.which("docker-registry") is None:
        pytest.skip("no docker-registry")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "config"))
    monkeypatch.setattr(oci_place, "plan_layers", partial(plan_layers, least=least))
    version = tmp_path / "version"
    shutil.copytree(PLAIN, version)
    (version / "assets").mkdir()
    (version / "assets" / f"Wörter {'x' * 120}").write_text("naïve")
    with object_stores.registry(tmp_path) as store:
        open_place(f"{store.root}/models/digits").publish(version, 7)
        image = f"localhost:{store.port}/models/digits:7"
        docker("pull", "--quiet", image)
        try:
            container = docker("create", image, "no command")
            try:
                docker("cp", f"{container}:/7", str(tmp_path / "copied"))
            finally:
                docker("rm", container)
            (about,) = json.loads(docker("inspect", image))
        finally:
            docker("rmi", image)
    assert content(tmp_path / "copied") == content(version)
    assert (len(about["RootFS"]["Layers"]) > 1) == (least == 100)
