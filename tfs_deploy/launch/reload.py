# SPDX-License-Identifier: Apache-2.0
"""Bringing a running server to a config: the file first, then the same content by RPC, then wait."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.config.policies import policy_of
from tfs_deploy.errors import StatusError, UnavailableError, UnknownError
from tfs_deploy.launch.server_state import available_versions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from tfs_deploy.client import Client

_POLL: Final = 0.1
_UNLOAD_POLL: Final = 0.02


def reload_config(
    client: Client, config: Any, *, write: Callable[[], None], restore: Callable[[], None], timeout: float
) -> None:
    """Write a config where the server reads it, then send it; a refusal puts back what was written before.

    The file comes first because a server that polls it, or restarts, follows the file and not the RPC. What may still
    come to pass (no answer in time) stays written.

    Args:
        client: of the server.
        config: the ``ModelServerConfig``.
        write: writes it.
        restore: puts back what was there.
        timeout: seconds that the server may take for its answer.

    Raises:
        StatusError: the server refused the config, or did not answer.
    """
    write()
    try:
        client.reload(config, timeout=timeout)
    except UnknownError:
        # The config is in force: a model that it names for the first time did not load, or is unloaded and loads
        # again. Its versions tell.
        return
    except StatusError as error:
        if not error.retriable:
            restore()
        raise


def wait_for_versions(client: Client, config: Any, on_disk: Mapping[str, Collection[int]], *, end: float) -> None:
    """Wait until every version that ``config`` asks for is available; ``end`` is a time of ``time.monotonic``."""
    for model in config.model_config_list.config:
        for version in policy_of(model).select(on_disk.get(model.name, ())):
            client.wait_ready(model.name, version=version, timeout=max(end - time.monotonic(), 0.1))


def wait_for_unloads(client: Client, leaving: Mapping[str, Collection[int]], *, end: float) -> None:
    """Wait until the versions in ``leaving`` are not available any more, or until ``end``: calls may hold them up."""
    for model, versions in leaving.items():
        while set(available_versions(client, model)).intersection(versions) and time.monotonic() < end:
            time.sleep(_UNLOAD_POLL)


def wait_for_answer(client: Client, model: str, *, end: float) -> None:
    """Wait until a server answers at all; ``end`` is a time of ``time.monotonic``."""
    while not _answers(client, model):
        if time.monotonic() > end:
            raise UnavailableError("the server does not answer", hint="tfs-deploy logs shows its log")
        time.sleep(_POLL)


def _answers(client: Client, model: str) -> bool:
    try:
        available_versions(client, model)
    except UnavailableError:
        return False
    return True
