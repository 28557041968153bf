"""Bringing a running server to a config: file first, then the same content by RPC, in steps that fail no request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.atomic import write_files
from tfs_deploy.config.files import MODELS
from tfs_deploy.config.models import parse, render
from tfs_deploy.config.policies import policy_of
from tfs_deploy.config.transition import transition
from tfs_deploy.errors import (
    DeadlineExceededError,
    ModelError,
    NotFoundError,
    StatusError,
    UnavailableError,
    UnknownError,
)
from tfs_deploy.savedmodel.versions import list_versions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tfs_deploy.client import Client
    from tfs_deploy.deployment.deployment import Deployment

#: seconds that a server takes at most to put off the rest of a reload that is not about loading
_SHORTEST_RELOAD = 10.0
_POLL = 0.1


def written_config(config_dir: Path) -> Any:
    """Return the config in the directory that the server reads, an empty one if none was written yet."""
    path = config_dir / MODELS
    if not path.exists():
        return protos.ModelServerConfig()
    return parse(path.read_text(encoding="utf-8"), source=str(path))


def converge(
    client: Client, config_dir: Path, target: Any, *, timeout: float, paths: Mapping[str, Path] | None = None
) -> None:
    """Make a running server serve ``target``: load what is new, wait for it, move labels, drop what is not needed.

    ``paths`` leads from base paths as the server sees them to those of this machine, where they differ.

    Raises:
        StatusError: a version did not load, or the server refused a step; it goes on with what it had, and the
            file holds what it accepted last.
        DeadlineExceededError: a version was not available within ``timeout`` seconds.
    """
    end = time.monotonic() + timeout
    current = written_config(config_dir)
    on_disk = versions_on_disk(current, paths) | versions_on_disk(target, paths)
    loaded = {config.name: available(client, config.name) for config in current.model_config_list.config}
    for step in transition(current, target, on_disk=on_disk, loaded=loaded):
        _send(client, config_dir, step, timeout=max(end - time.monotonic(), _SHORTEST_RELOAD))
        wait_for_versions(client, step, on_disk, end=end)


def _send(client: Client, config_dir: Path, config: Any, *, timeout: float) -> None:
    before = written_config(config_dir)
    write_files(config_dir, {MODELS: render(config)})
    try:
        client.reload(config, timeout=timeout)
    except UnknownError:
        # A model that was named anew did not load, or has just been unloaded and loads again: its versions tell.
        return
    except DeadlineExceededError:
        raise  # it may still come to pass
    except StatusError:
        # What was refused must not come back at the next start.
        write_files(config_dir, {MODELS: render(before)})
        raise


def wait_for_versions(client: Client, config: Any, on_disk: Mapping[str, Collection[int]], *, end: float) -> None:
    """Wait until every version that ``config`` asks for is available; ``end`` is a time of ``time.monotonic``."""
    for model in config.model_config_list.config:
        for version in policy_of(model).select(on_disk.get(model.name, ())):
            client.wait_ready(model.name, version=version, timeout=max(end - time.monotonic(), 0.1))


def wait_for_answer(client: Client, model: str, *, end: float) -> None:
    """Wait until a server answers at all; ``end`` is a time of ``time.monotonic``."""
    while True:
        if answers(client, model):
            return
        if time.monotonic() > end:
            raise UnavailableError("the server does not answer", hint="tfs-deploy logs shows what it does")
        time.sleep(_POLL)


def answers(client: Client, model: str) -> bool:
    """Tell whether a server answers a question about a model, whatever the answer is."""
    try:
        available(client, model)
    except UnavailableError:
        return False
    return True


def available(client: Client, model: str) -> list[int]:
    """Return the versions of a model that the server serves now, none for a model it does not know."""
    try:
        return sorted(status.version for status in client.status(model) if status.available)
    except NotFoundError:
        return []


def versions_on_disk(config: Any, paths: Mapping[str, Path] | None = None) -> dict[str, list[int]]:
    """Return the versions under each model's base path, none where there is no such directory."""
    here = paths or {}
    return {
        model.name: numbers_under(here.get(model.base_path, model.base_path))
        for model in config.model_config_list.config
    }


def host_paths(deployment: Deployment) -> dict[str, Path]:
    """Return where the base paths that a deployment's server sees lie on this machine."""
    return {str(deployment.served_path(model)): model.base_path for model in deployment.models}


def numbers_under(base_path: str | Path) -> list[int]:
    """Return the version numbers under a base path, none if there is no such directory."""
    try:
        return [version.number for version in list_versions(base_path)]
    except ModelError:
        return []
