# SPDX-License-Identifier: Apache-2.0
"""``verify`` in containers: images in turn, the server's own reason, nothing left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.docker
PLAIN = Path(__file__).parents[1] / "data/verify/plain"


def verify(*arguments: str | Path) -> tuple[int, dict, str]:
    command = [sys.executable, "-m", "tfs_deploy", "verify", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    return done.returncode, json.loads(done.stdout), done.stderr


def containers(image: str) -> str:
    """List the containers of this image, which only this checkout uses: other suites may share the engine."""
    own = ("label=tfs-deploy.deployment=verify", f"ancestor={image}")
    words = ["docker", "ps", "--all", "--quiet", *(word for each in own for word in ("--filter", each))]
    return subprocess.run(words, capture_output=True, text=True, timeout=300).stdout


def test_images_in_turn(image):
    code, verdict, errors = verify(
        PLAIN, "--image", image, "--image", image, "--load", "0.3", "--budget", "memory < 9GB"
    )
    assert (code, verdict["ok"]) == (0, True), errors
    assert verdict["targets"] == [f"docker {image}"] * 2
    assert sum(check["id"] == "load.served" and check["status"] == "passed" for check in verdict["checks"]) == 2
    assert containers(image) == ""


def test_a_broken_model_is_refused_with_the_reason_of_the_server_in_the_container(image, tmp_path):
    tmp_path.chmod(0o755)
    shutil.copytree(PLAIN, tmp_path / "plain")
    graph = tmp_path / "plain/1/saved_model.pb"
    graph.write_bytes(graph.read_bytes().replace(b"AddV2", b"AddV9"))
    code, verdict, errors = verify(tmp_path / "plain", "--image", image, "--only", "load")
    assert (code, verdict["first_failed"]["id"]) == (1, "load.served"), errors
    assert "AddV9" in verdict["first_failed"]["reason"]
    assert containers(image) == ""


def test_an_image_that_is_no_server_is_the_environment():
    done = subprocess.run(
        [sys.executable, "-m", "tfs_deploy", "verify", str(PLAIN), "--image", "localhost/no/such:image"],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 3, done.stderr
