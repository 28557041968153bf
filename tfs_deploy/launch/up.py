"""One deployment's server, up and down: config, host and client put together.

Nothing here locks; whoever calls holds the deployment's lock.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfs_deploy.config.diff import diff
from tfs_deploy.config.models import model_server_config
from tfs_deploy.deployment.active import apply_active
from tfs_deploy.errors import ModelError, StatusError
from tfs_deploy.launch.connect import dial
from tfs_deploy.launch.converge import (
    available,
    converge,
    host_paths,
    versions_on_disk,
    wait_for_answer,
    written_config,
)
from tfs_deploy.launch.embedded.host import EmbeddedHost
from tfs_deploy.launch.embedded.running_server import STOP_TIMEOUT
from tfs_deploy.launch.hosts import host_of, require_one_kind
from tfs_deploy.launch.memory import require_memory
from tfs_deploy.launch.observe import require_allowed
from tfs_deploy.launch.replace import ports_of, replace, start_verified
from tfs_deploy.launch.start_settings import needs_another
from tfs_deploy.state.active import read_active, write_active
from tfs_deploy.state.config_generations import drop_generations, use_generation
from tfs_deploy.state.endpoint import write_endpoint
from tfs_deploy.state.last_start import write_last_start
from tfs_deploy.state.traffic import read_traffic, traffic_path, write_traffic

if TYPE_CHECKING:
    from tfs_deploy.deployment.active import ActiveModel
    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.launch.embedded.launcher import EmbeddedLauncher
    from tfs_deploy.launch.server import Host, Server


@dataclass(frozen=True, slots=True)
class UpResult:
    """What ``up`` did: a server ``started`` or one that ran already, one line for each change, and notes.

    ``gap`` is how many seconds nobody served while a server was replaced, None if none was.
    """

    server: Server
    started: bool
    changes: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())
    gap: float | None = None


def up(
    deployment: Deployment,
    *,
    timeout: float = 120.0,
    host: Host[Any] | None = None,
    launcher: EmbeddedLauncher | None = None,
    anew: bool = False,
    check_memory: bool = True,
) -> UpResult:
    """Make a deployment's server run and serve what its file says; returns when every version is available.

    A server that runs already keeps running and is brought to the file without failing a request, unless something
    changed that a server reads at its start only: then another one takes its place (see ``replace``). ``anew`` does
    that in any case.

    Raises:
        LaunchError, PortInUseError: a server did not start; nothing of it is left, and one that ran before still does.
        StatusError: a version did not load, or the server refused a change; what it served before it still serves.
        EnvironmentFault: the models do not fit into memory.
    """
    require_one_kind(deployment)
    if host is None:
        host = EmbeddedHost(deployment, launcher) if launcher is not None else host_of(deployment)
    records = read_active(deployment.state_dir)
    served, notes = apply_active(deployment, records)
    kept = _still_meant(deployment, served, records)
    target = model_server_config(served)
    _require_versions(served)
    healed = host.heal()
    current = host.current()
    other = needs_another(served, current) if current is not None else []
    if current is not None:
        if current.config_dir.is_dir():
            # Whatever an earlier command did not get to: the config that is changed must be the one that is read.
            use_generation(served.state_dir, current.config_dir)
        require_allowed(served, written_config(served.config_dir))
    side_by_side = current is not None and bool(other or anew)
    if check_memory:
        require_memory(served, current, side_by_side=side_by_side, loaded=_loaded(served, current))
    if side_by_side and current is not None:
        done = _replace(host, served, target, current, other, timeout=timeout)
    else:
        done = _bring(host, served, target, current, timeout=timeout)
    drop_generations(deployment.state_dir, ())
    if kept != records:
        write_active(deployment.state_dir, kept)
    _follow_traffic(deployment, set(kept))
    return UpResult(done.server, current is None, done.changes, (*healed, *notes, *done.notes), done.gap)


@dataclass(frozen=True, slots=True)
class _Brought:
    server: Server
    changes: tuple[str, ...]
    notes: tuple[str, ...] = field(default=())
    gap: float | None = None


def _bring(host: Host[Any], served: Deployment, target: Any, current: Server | None, *, timeout: float) -> _Brought:
    if current is None:
        began = time.monotonic()
        server, config_dir = start_verified(host, served, target, ports_of(served), successor=False, timeout=timeout)
        write_last_start(served.state_dir, time.monotonic() - began)
        use_generation(served.state_dir, config_dir)
        notes = host.serving(server)
        write_endpoint(served.state_dir, server.grpc_address, server.rest_address)
        return _Brought(server, tuple(f"{model.name}: {model.version_policy}" for model in served.models), notes)
    changes = diff(written_config(served.config_dir), target).lines()
    _update(served, target, current, timeout)
    write_endpoint(served.state_dir, current.grpc_address, current.rest_address)
    return _Brought(current, tuple(changes))


def _replace(
    host: Host[Any], served: Deployment, target: Any, current: Server, other: list[str], *, timeout: float
) -> _Brought:
    def switch(server: Server) -> None:
        write_endpoint(served.state_dir, server.grpc_address, server.rest_address)

    changes = diff(written_config(served.config_dir), target).lines()
    done = replace(host, served, target, current, timeout=timeout, on_switch=switch)
    return _Brought(done.server, (*other, *changes), done.notes, done.gap)


def _loaded(served: Deployment, current: Server | None) -> dict[str, set[int]]:
    if current is None:
        return {}
    with dial(served, current.grpc_address) as client:
        try:
            return {model.name: set(available(client, model.name)) for model in served.models}
        except StatusError:
            return {}  # it is still loading; the estimate is then of the file alone


def _update(served: Deployment, target: Any, server: Server, timeout: float) -> None:
    end = time.monotonic() + timeout
    with dial(served, server.grpc_address) as client:
        # An earlier start may have been cut off while its server was still loading.
        wait_for_answer(client, served.models[0].name, end=end)
        left = max(end - time.monotonic(), 0.1)
        converge(client, served.config_dir, target, timeout=left, paths=host_paths(served))


def _still_meant(deployment: Deployment, served: Deployment, records: dict[str, ActiveModel]) -> dict[str, ActiveModel]:
    """Drop the records that an edit of the file has ended, so that undoing the edit does not bring them back."""
    moved = {new.name for old, new in zip(deployment.models, served.models, strict=True) if old is not new}
    return {name: record for name, record in records.items() if name in moved}


def _require_versions(served: Deployment) -> None:
    on_disk = versions_on_disk(model_server_config(served), host_paths(served))
    for model in served.models:
        missing = sorted(set(model.version_policy.versions) - set(on_disk[model.name]))
        if missing:
            # Without this the server would wait for it, ports closed, until somebody puts it there.
            raise ModelError(
                f"model {model.name!r} is to serve version {missing[0]}, which is not in {model.base_path}",
                hint=f"versions there: {', '.join(map(str, on_disk[model.name])) or 'none'}",
            )


def _follow_traffic(deployment: Deployment, rolled: set[str]) -> None:
    """Give routers the file's weights for every model that no rollout has moved."""
    path = traffic_path(deployment.state_dir)
    current = read_traffic(path).models
    for model in deployment.models:
        if model.traffic and model.name not in rolled and current.get(model.name) != model.traffic:
            write_traffic(path, model.name, model.traffic)


def down(deployment: Deployment, *, timeout: float = STOP_TIMEOUT, host: Host[Any] | None = None) -> Server | None:
    """Stop a deployment's server and return it, None if none ran; nothing of it is left."""
    hosts: list[Host[Any]] = [host or host_of(deployment)]
    if deployment.server.target != "embedded":
        hosts.append(EmbeddedHost(deployment))
    stopped = None
    for place in hosts:
        server = place.current()
        if server is not None:
            place.discard(server, timeout)
        place.clear()
        stopped = stopped or server
    return stopped
