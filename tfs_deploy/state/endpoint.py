# SPDX-License-Identifier: Apache-2.0
"""``endpoint.json``: where a deployment's server answers now, for clients that follow it (``DeployedClient``).

``{"generation": 3, "grpc": "127.0.0.1:8510", "rest": "127.0.0.1:8511"}``. ``up`` replaces it under the deployment's
lock when another server takes the place of one that serves; ``generation`` counts the replacements. ``down`` adds
``"stopped": true``. Clients of earlier releases read it: keys may be added, never changed or removed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.state.json_files import is_damage, read_json, write_json

NAME: Final = "endpoint.json"
VERSION: Final = 1
_HINT: Final = (
    "the server still answers, and clients keep the address that they read last; tfs-deploy up writes it again"
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``HOST:PORT`` of both APIs; ``rest`` is None without REST. ``stopped``: by ``down``, so a stranger may answer."""

    generation: int
    grpc: str
    rest: str | None = None
    stopped: bool = False


def endpoint_path(state_dir: Path) -> Path:
    """Return where the file is once ``up`` has started a server."""
    return state_dir / NAME


def read_endpoint(state_dir: Path | str) -> Endpoint | None:
    """Return where a deployment's server answers, None before the first ``up``; ``EnvironmentFault`` if damaged."""
    path = endpoint_path(Path(state_dir))
    return read_json(path, _endpoint, known=VERSION, hint=_HINT)


def write_endpoint(state_dir: Path, grpc: str, rest: str | None) -> Endpoint:
    """Replace the file unless it says so already; ``EnvironmentFault`` with the old one untouched if that fails."""
    try:
        before = read_endpoint(state_dir)
    except EnvironmentFault as error:
        if not is_damage(error):
            raise
        before = None
    if before is not None and (before.grpc, before.rest, before.stopped) == (grpc, rest, False):
        return before
    endpoint = Endpoint(1 if before is None else before.generation + 1, grpc, rest)
    _write(state_dir, endpoint)
    return endpoint


def mark_stopped(state_dir: Path) -> None:
    """Record that the server was stopped, unless no server was ever recorded or the file is damaged."""
    try:
        endpoint = read_endpoint(state_dir)
    except EnvironmentFault as error:
        if not is_damage(error):
            raise
        return
    if endpoint is not None and not endpoint.stopped:
        _write(state_dir, replace(endpoint, stopped=True))


def _write(state_dir: Path, endpoint: Endpoint) -> None:
    document = {"generation": endpoint.generation, "grpc": endpoint.grpc, "rest": endpoint.rest}
    stopped = {"stopped": True} if endpoint.stopped else {}
    write_json(endpoint_path(state_dir), {**document, **stopped}, version=VERSION)


def _endpoint(document: Any) -> Endpoint:
    rest = document["rest"]
    return Endpoint(
        generation=int(document["generation"]),
        grpc=str(document["grpc"]),
        rest=None if rest is None else str(rest),
        stopped=document.get("stopped") is True,
    )
