"""One deployment's server, up and down: config, launcher and client put together.

Nothing here locks; whoever calls holds the deployment's lock.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tfs_deploy.client import Client
from tfs_deploy.client.traffic import read_traffic, write_traffic
from tfs_deploy.config.active import apply_active, read_active, write_active
from tfs_deploy.config.command import server_flags
from tfs_deploy.config.diff import diff
from tfs_deploy.config.files import MODELS, config_files, write_config
from tfs_deploy.config.models import model_server_config
from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.launch.converge import converge, versions_on_disk, wait_for_versions, written_config
from tfs_deploy.launch.embedded import EmbeddedLauncher, wait_for_ports
from tfs_deploy.launch.record import LOG_NAME, read_record, remove_record, running_server, write_record

if TYPE_CHECKING:
    from pathlib import Path

    from tfs_deploy.config.active import ActiveModel
    from tfs_deploy.config.deployment import Deployment
    from tfs_deploy.launch.running import RunningServer

#: the traffic file inside the state directory
TRAFFIC_NAME = "traffic.json"


@dataclass(frozen=True, slots=True)
class UpResult:
    """What ``up`` did: a server ``started`` or one that ran already, one line for each change, and notes."""

    server: RunningServer
    started: bool
    changes: tuple[str, ...] = field(default=())
    notes: tuple[str, ...] = field(default=())


def up(deployment: Deployment, *, timeout: float = 120.0, launcher: EmbeddedLauncher | None = None) -> UpResult:
    """Make a deployment's server run and serve what its file says; returns when every version is available.

    A server that runs already keeps running and is brought to the file without failing a request.

    Raises:
        UsageError: a running server would have to be restarted (ports, flags or batching were changed).
        LaunchError, PortInUseError: the server did not start; nothing of it is left.
        StatusError: a version did not load, or the server refused a change; what it served before it still serves.
    """
    records = read_active(deployment.state_dir)
    served, notes = apply_active(deployment, records)
    kept = _still_meant(deployment, served, records)
    target = model_server_config(served)
    _require_versions(served)
    running = running_server(deployment.state_dir)
    if running is None:
        server = _start(served, target, launcher or EmbeddedLauncher(), timeout)
        changes = [f"{model.name}: {model.version_policy}" for model in served.models]
    else:
        server = running
        changes = _update(served, target, server, timeout)
    if kept != records:
        write_active(deployment.state_dir, kept)
    _follow_traffic(deployment, set(kept))
    return UpResult(server, running is None, tuple(changes), tuple(notes))


def _still_meant(deployment: Deployment, served: Deployment, records: dict[str, ActiveModel]) -> dict[str, ActiveModel]:
    """Drop the records that an edit of the file has ended, so that undoing the edit does not bring them back."""
    moved = {new.name for old, new in zip(deployment.models, served.models, strict=True) if old is not new}
    return {name: record for name, record in records.items() if name in moved}


def _require_versions(served: Deployment) -> None:
    on_disk = versions_on_disk(model_server_config(served))
    for model in served.models:
        missing = sorted(set(model.version_policy.versions) - set(on_disk[model.name]))
        if missing:
            # Without this the server would wait for it, ports closed, until somebody puts it there.
            raise ModelError(
                f"model {model.name!r} is to serve version {missing[0]}, which is not in {model.base_path}",
                hint=f"versions there: {', '.join(map(str, on_disk[model.name])) or 'none'}",
            )


def _start(served: Deployment, target: Any, launcher: EmbeddedLauncher, timeout: float) -> RunningServer:
    end = time.monotonic() + timeout
    state_dir = served.state_dir
    write_config(served, served.config_dir)
    log_path = state_dir / LOG_NAME
    if log_path.exists():
        log_path.replace(log_path.with_suffix(".log.1"))

    def note(server: RunningServer) -> None:
        write_record(state_dir, server, fixed=_fixed(served))

    server = None
    try:
        server = launcher.start(
            server_flags(served, served.config_dir), log_path=log_path, detach=True, timeout=timeout, on_spawn=note
        )
        with Client(server.grpc_address) as client:
            wait_for_versions(client, target, versions_on_disk(target), end=end)
    except BaseException:
        if server is not None:
            server.stop()
        remove_record(state_dir)
        raise
    return server


def _update(served: Deployment, target: Any, server: RunningServer, timeout: float) -> list[str]:
    end = time.monotonic() + timeout
    record = read_record(served.state_dir) or {}
    if record.get("fixed") != _fixed(served):
        raise UsageError(
            f"the running server was started with other settings: {_what_differs(served, server)}",
            hint=f"a restart is needed: tfs-deploy down {served.source} && tfs-deploy up {served.source}",
        )
    # An earlier start may have been cut off while its server was still loading.
    wait_for_ports(server, timeout)
    changes = diff(written_config(served.config_dir), target).lines()
    with Client(server.grpc_address) as client:
        converge(client, served.config_dir, target, timeout=max(end - time.monotonic(), 0.1))
    return changes


def _settings(served: Deployment) -> list[str]:
    # Labels may come and go while a server runs; the flag matters at its start only.
    flags = server_flags(served, served.config_dir)
    return [flag for flag in flags if not flag.startswith("--allow_version_labels")]


def _fixed(served: Deployment) -> str:
    """Return a digest of all that the server reads once, at its start."""
    texts = {name: text for name, text in config_files(served).items() if name != MODELS}
    document = json.dumps([_settings(served), texts], sort_keys=True)
    return "sha256:" + hashlib.sha256(document.encode()).hexdigest()


def _what_differs(served: Deployment, server: RunningServer) -> str:
    wanted = set(_settings(served))
    has = {flag for flag in server.flags if not flag.startswith("--allow_version_labels")}
    names = sorted({flag.partition("=")[0].lstrip("-") for flag in wanted ^ has})
    return ", ".join(names) or "the parameters of batching or monitoring"


def _follow_traffic(deployment: Deployment, rolled: set[str]) -> None:
    """Give routers the file's weights for every model that no rollout has moved."""
    path = deployment.state_dir / TRAFFIC_NAME
    current = read_traffic(path).models
    for model in deployment.models:
        if model.traffic and model.name not in rolled and current.get(model.name) != model.traffic:
            write_traffic(path, model.name, model.traffic)


def down(deployment: Deployment, *, timeout: float = 15.0) -> RunningServer | None:
    """Stop a deployment's server and return it, None if none ran."""
    server = running_server(deployment.state_dir)
    if server is not None:
        server.stop(timeout)
    remove_record(deployment.state_dir)
    return server


def log_path_of(deployment: Deployment) -> Path:
    """Return where the log of a deployment's server lies."""
    return deployment.state_dir / LOG_NAME
