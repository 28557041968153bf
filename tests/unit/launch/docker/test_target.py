# SPDX-License-Identifier: Apache-2.0
"""What a start pulls first. Ctrl-C while the engine makes a container: nothing comes out of the request later."""

from __future__ import annotations

import os
import signal
import threading
from types import SimpleNamespace

import pytest

from tfs_deploy.deployment.docker import Docker
from tfs_deploy.launch.docker.target import DockerTarget


class SlowApi:
    """Makes a container a while after it was interrupted."""

    def __init__(self, *, interrupt: bool = True) -> None:
        self.made: list[str] = []
        self._interrupt = interrupt

    def create_container_from_config(self, body: object, name: str, platform: object) -> dict[str, str]:
        if self._interrupt:
            os.kill(os.getpid(), signal.SIGINT)
            threading.Event().wait(0.2)
        self.made.append(name)
        return {"Id": "1"}


def test_the_interrupt_comes_once_the_container_is_there():
    api = SlowApi()
    host = SimpleNamespace(engine=SimpleNamespace(api=api))
    with pytest.raises(KeyboardInterrupt):
        DockerTarget._create(host, {}, "shop", Docker(image="x"))  # type: ignore[arg-type]
    assert api.made == ["shop"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_another_thread_nothing_is_held_back():
    api = SlowApi(interrupt=False)
    host = SimpleNamespace(engine=SimpleNamespace(api=api))
    failed: list[BaseException] = []

    def create() -> None:
        try:
            DockerTarget._create(host, {}, "shop", Docker(image="x"))  # type: ignore[arg-type]
        except AttributeError as error:  # looking at it is more than this engine can do
            failed.append(error)

    thread = threading.Thread(target=create)
    thread.start()
    thread.join()
    assert api.made == ["shop"]
    assert len(failed) == 1


@pytest.mark.parametrize(
    ("pull", "here", "fetched"),
    [
        ("missing", None, ("pull image x:1, which the engine does not have",)),
        ("missing", "sha256:1", ()),
        ("always", "sha256:1", ("pull image x:1 (server.docker.pull: always)",)),
        ("never", None, ()),
    ],
)
def test_a_start_says_what_it_pulls(pull, here, fetched):
    deployment = SimpleNamespace(server=SimpleNamespace(docker=Docker(image="x:1", pull=pull)))
    host = SimpleNamespace(engine=SimpleNamespace(image_id=lambda name: here), _deployment=deployment)
    assert DockerTarget.fetches(host) == fetched  # type: ignore[arg-type]
