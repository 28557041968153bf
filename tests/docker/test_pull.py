# SPDX-License-Identifier: Apache-2.0
"""Images out of a registry: pulled when absent, by tag and by digest, and what a registry's answers become."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support.stand_in_engines import MACHINE
from tfs_deploy.deployment.docker import Docker
from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.launch.docker.engine import DockerEngine

pytestmark = pytest.mark.docker
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass
class Registry:
    """Holds one image, ``model-server:1``, with a layer of some megabytes; ``locked`` asks for a login."""

    architecture: str
    locked: bool = False
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    address: str = ""

    def __post_init__(self) -> None:
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as tar:
            entry = tarfile.TarInfo("weights")
            noise = os.urandom(3 << 20)
            entry.size = len(noise)
            tar.addfile(entry, io.BytesIO(noise))
        packed = gzip.compress(layer.getvalue(), 1)
        config = json.dumps(
            {
                "architecture": self.architecture,
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [digest(layer.getvalue())]},
            }
        ).encode()
        self.blobs = {digest(packed): packed, digest(config): config}
        self.manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "size": len(config),
                    "digest": digest(config),
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                        "size": len(packed),
                        "digest": digest(packed),
                    }
                ],
            }
        ).encode()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Return status, content type and body (the distribution API of the Open Container Initiative)."""
        self.asked.append(path)
        name = path.rpartition("/")[2]
        if self.locked:
            return (
                401,
                "application/json",
                b'{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}',
            )
        if path == "/v2/":
            return 200, "application/json", b"{}"
        if "/manifests/" in path and name in ("1", digest(self.manifest)):
            return 200, MANIFEST, self.manifest
        if name in self.blobs:
            return 200, "application/octet-stream", self.blobs[name]
        return 404, "application/json", b'{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}'


class Handler(BaseHTTPRequestHandler):
    registry: Registry

    def do_GET(self) -> None:
        status, kind, body = self.registry.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Docker-Content-Digest", digest(body))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def registry(engine: None, request: pytest.FixtureRequest) -> Iterator[Registry]:
    """A registry on a port of this machine, which engines take without TLS; what was pulled from it is removed."""
    held = Registry(getattr(request, "param", MACHINE))
    handler = type("Bound", (Handler,), {"registry": held})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        held.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield held
        finally:
            server.shutdown()
            thread.join()
            listed = ["docker", "images", "--quiet", f"{held.address}/model-server"]
            for image in subprocess.run(listed, capture_output=True, text=True).stdout.split():
                subprocess.run(["docker", "rmi", "--force", image], capture_output=True)


@pytest.fixture
def local_engine() -> Iterator[DockerEngine]:
    engine = DockerEngine()
    yield engine
    engine.close()


def test_an_absent_image_is_pulled_once_and_the_progress_is_told(registry, local_engine):
    told: list[tuple[str, int, int]] = []
    docker = Docker(f"{registry.address}/model-server:1")
    first = local_engine.require_image(docker, lambda *event: told.append(event))
    assert first.startswith("sha256:")
    assert {what for what, _, _ in told} == {f"pulling {docker.image}"}
    assert all(0 <= done <= whole for _, done, whole in told)
    assert max(whole for _, _, whole in told) > 3_000_000

    registry.asked.clear()
    assert local_engine.require_image(docker, None) == first
    assert registry.asked == []
    assert local_engine.require_image(Docker(docker.image, pull="always"), None) == first
    assert registry.asked != []


def test_an_image_by_digest(registry, local_engine):
    docker = Docker(f"{registry.address}/model-server@{digest(registry.manifest)}")
    assert local_engine.require_image(docker, None).startswith("sha256:")
    registry.asked.clear()
    local_engine.require_image(docker, None)
    assert registry.asked == []


def test_a_tag_that_the_registry_does_not_have(registry, local_engine):
    with pytest.raises(UsageError, match="no registry has image") as caught:
        local_engine.require_image(Docker(f"{registry.address}/model-server:2"), None)
    assert "its tag" in str(caught.value.hint)


def test_a_registry_that_asks_for_a_login(registry, local_engine):
    registry.locked = True
    with pytest.raises(EnvironmentFault, match="the registry refused image") as caught:
        local_engine.require_image(Docker(f"{registry.address}/model-server:1"), None)
    assert "docker login" in str(caught.value.hint)


@pytest.mark.parametrize("registry", ["s390x"], indirect=True)
def test_an_image_for_another_processor(registry, local_engine):
    with pytest.raises(UsageError, match=f"is for s390x, but this machine is {MACHINE}"):
        local_engine.require_image(Docker(f"{registry.address}/model-server:1"), None)


def test_up_pulls_and_says_what_the_image_lacks(registry, shop):
    shop.container["image"] = f"{registry.address}/model-server:1"
    shop.write()
    done = shop.cli("up")
    assert done.returncode == 3
    assert registry.asked != []
    assert "has no /usr/bin/tensorflow_model_server that runs here" in done.stderr
    assert shop.containers() == []
