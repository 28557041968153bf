"""The facts that a plan is made from: the file, the disk, the server that runs, the clients' traffic."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.config.diff import diff
from tfs_deploy.config.models import PLATFORM, model_server_config
from tfs_deploy.config.policies import policy_of, set_policy
from tfs_deploy.deployment.active import apply_active
from tfs_deploy.deployment.deployment import VersionPolicy
from tfs_deploy.errors import StatusError, UsageError
from tfs_deploy.launch.connect import dial
from tfs_deploy.launch.converge import available, host_paths, versions_on_disk, written_config
from tfs_deploy.launch.hosts import host_of
from tfs_deploy.launch.memory import memory_of
from tfs_deploy.launch.plan import Facts, Plan, lost_labels, make_plan
from tfs_deploy.launch.replace import free_pair, ports_of
from tfs_deploy.launch.start_settings import needs_another
from tfs_deploy.state.active import read_active
from tfs_deploy.state.last_start import read_last_start
from tfs_deploy.state.traffic import read_traffic, traffic_path

if TYPE_CHECKING:
    from tfs_deploy.client import Client
    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.launch.server import Server


def plan(deployment: Deployment, *, against: str | None = None) -> Plan:
    """Return what ``up`` would do now; ``against`` is the address of a server that serves the deployment elsewhere.

    Raises:
        EnvironmentFault, StatusError: the server, the engine or a file cannot be asked.
    """
    served = apply_active(deployment, read_active(deployment.state_dir))[0]
    if against is not None:
        return _plan_against(served, against)
    server = host_of(deployment).current()
    loaded: dict[str, set[int]] = {}
    current = protos.ModelServerConfig()
    settings: list[str] = []
    if server is not None:
        current = written_config(served.config_dir)
        settings = needs_another(served, server)
        with dial(served, server.grpc_address) as client:
            loaded = _loaded(client, served, current)
    return _decide(served, current, loaded, server, settings)


def _decide(
    served: Deployment, current: Any, loaded: dict[str, set[int]], server: Server | None, settings: list[str]
) -> Plan:
    target, paths = model_server_config(served), host_paths(served)
    facts = Facts(
        current=current,
        target=target,
        on_disk=versions_on_disk(current, paths) | versions_on_disk(target, paths),
        loaded=loaded,
        server=None if server is None else server.name,
        ports=ports_of(served),
        settings=tuple(settings),
        pair=None if server is None else free_pair(served, server.ports),
        start_seconds=read_last_start(served.state_dir),
        routed=routed_after(served),
    )
    memory = memory_of(served, loaded, side_by_side=bool(settings))
    changes = (
        diff(current, target).lines()
        if server is not None
        else [f"{model.name}: {model.version_policy}" for model in served.models]
    )
    return make_plan(facts, changes, memory)


def _plan_against(served: Deployment, address: str) -> Plan:
    """Compare with what a server says; it cannot be asked for all its models, only for those we know of."""
    written = written_config(served.config_dir)
    with dial(served, address) as client:
        loaded = _loaded(client, served, written)
        current = _as_served(client, served, loaded)
    target, paths = model_server_config(served), host_paths(served)
    on_disk = versions_on_disk(target, paths)
    asked = {
        model.name: policy_of(model).select(on_disk.get(model.name, ())) for model in written.model_config_list.config
    }
    wanted = {
        model.name: policy_of(model).select(on_disk.get(model.name, ())) for model in target.model_config_list.config
    }
    facts = Facts(
        current=current,
        target=target,
        on_disk=on_disk,
        loaded=loaded,
        server=address,
        ports=ports_of(served),
        routed=routed_after(served),
        foreign={
            name: sorted(versions - {*asked.get(name, ()), *wanted.get(name, ())}) for name, versions in loaded.items()
        },
    )
    return make_plan(facts, diff(current, target).lines(), memory_of(served, loaded, side_by_side=False))


def _loaded(client: Client, served: Deployment, current: Any) -> dict[str, set[int]]:
    names = dict.fromkeys([model.name for model in served.models])
    names |= dict.fromkeys(model.name for model in current.model_config_list.config)
    return {name: set(available(client, name)) for name in names}


def _as_served(client: Client, served: Deployment, loaded: dict[str, set[int]]) -> Any:
    """Write what a server serves as a config; of labels only those of the file can be asked for."""
    message = protos.ModelServerConfig()
    message.model_config_list.SetInParent()
    for model in served.models:
        if not loaded.get(model.name):
            continue
        config = message.model_config_list.config.add(
            name=model.name, base_path=str(served.served_path(model)), model_platform=PLATFORM
        )
        versions = loaded[model.name]
        same = versions == set(model.version_policy.select(versions_on_disk_of(served, model.name)))
        set_policy(config, model.version_policy if same else VersionPolicy.specific(versions))
        for label in sorted({*model.labels, "stable", "canary"}):
            with contextlib.suppress(StatusError):
                config.version_labels[label] = client.metadata(model.name, label=label).version
    return message


def versions_on_disk_of(served: Deployment, name: str) -> list[int]:
    """Return the versions of one model that are on this machine's disk."""
    return versions_on_disk(model_server_config(served), host_paths(served)).get(name, [])


def routed_after(served: Deployment) -> dict[str, dict[str, float]]:
    """Return the weights that clients follow once the file is in force: its own, else those of the traffic file."""
    routed = read_traffic(traffic_path(served.state_dir)).models
    return {model.name: dict(model.traffic or routed.get(model.name, {})) for model in served.models}


def require_allowed(served: Deployment, current: Any) -> None:
    """Raise ``UsageError`` for what no server should be made to do: take away a label that gets requests."""
    target = model_server_config(served)
    refused = list(lost_labels(current, target, routed_after(served)))
    if refused:
        raise UsageError(refused[0], hint=f"tfs-deploy plan {served.source} shows everything that would change")
