# SPDX-License-Identifier: Apache-2.0
"""The core applies one config after the other, and no config can keep it from taking the next."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from support.live import until
from tfs_deploy import protos
from tfs_deploy.errors import AbortedError, InvalidArgumentError
from tfs_deploy.server.models.server_core import ServerCore, ServerCoreOptions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PATIENCE_SECONDS = 60.0


class Model:
    """A servable that does nothing."""

    def close(self) -> None:
        """Nothing is open."""


def config(**base_paths: Path | str) -> Any:
    message = protos.ModelServerConfig()
    for name, base_path in base_paths.items():
        message.model_config_list.config.add(name=name, base_path=str(base_path), model_platform="tensorflow")
    return message


@pytest.fixture
def core() -> Iterator[ServerCore]:
    core = ServerCore(lambda _servable, _path: Model(), ServerCoreOptions(give_way_seconds=0.0))
    yield core
    core.stop()


@pytest.fixture
def served(tmp_path: Path) -> Path:
    (tmp_path / "served" / "1").mkdir(parents=True)
    return tmp_path / "served"


def test_a_reload_that_waits_for_a_version_gives_way_to_the_next(
    core: ServerCore, served: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    core.reload(config(m=served))
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(core.reload, config(m=served, empty=tmp_path / "empty"))
        until(lambda: "empty" in core._source.names)
        core.reload(config(m=served))
        with pytest.raises(AbortedError, match="which waited for a version of empty"):
            waiting.result(PATIENCE_SECONDS)
    assert core.serves("m")


def test_a_reload_whose_model_loads_is_not_cut_short_by_the_next(served: Path, tmp_path: Path) -> None:
    (tmp_path / "slow" / "1").mkdir(parents=True)
    begun, go = threading.Event(), threading.Event()

    def load(servable: Any, _path: Path) -> Model:
        if servable.name == "slow":
            begun.set()
            assert go.wait(PATIENCE_SECONDS)
        return Model()

    core = ServerCore(load, ServerCoreOptions(give_way_seconds=0.0))
    try:
        core.reload(config(m=served))
        with ThreadPoolExecutor(2) as pool:
            first = pool.submit(core.reload, config(m=served, slow=tmp_path / "slow"))
            assert begun.wait(PATIENCE_SECONDS)
            second = pool.submit(core.reload, config(m=served))
            until(lambda: len(core._came) == 2)
            go.set()
            assert first.result(PATIENCE_SECONDS) is None
            assert second.result(PATIENCE_SECONDS) is None
    finally:
        go.set()
        core.stop()


def test_a_base_path_with_a_nul_is_refused(core: ServerCore, served: Path) -> None:
    core.reload(config(m=served))
    with pytest.raises(InvalidArgumentError, match="The base path of model bad has a NUL character"):
        core.reload(config(m=served, bad="/models\0"))
    (served / "2").mkdir()
    assert until(lambda: core.states.version("m", 2))


def test_a_poll_that_fails_is_followed_by_the_next(
    core: ServerCore, served: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    core.reload(config(m=served))
    failed = threading.Event()

    def fail(*_arguments: Any) -> None:
        failed.set()
        raise ValueError("embedded null byte")

    with monkeypatch.context() as patch:
        patch.setattr(core._source, "_aspire", fail)
        core._source._wake.set()
        assert failed.wait(PATIENCE_SECONDS)
    (served / "2").mkdir()
    core._source._wake.set()
    assert until(lambda: core.states.version("m", 2))
    assert "looking for versions failed" in caplog.text
