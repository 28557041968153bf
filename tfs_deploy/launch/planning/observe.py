# SPDX-License-Identifier: Apache-2.0
"""Reading the facts, once: the deployment file, the disk, the server that runs, the files that clients follow."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.config.models import PLATFORM, model_server_config
from tfs_deploy.config.policies import policy_of, set_policy
from tfs_deploy.deployment.active import apply_active
from tfs_deploy.deployment.deployment import VersionPolicy
from tfs_deploy.deployment.links import HINT, blind_links
from tfs_deploy.errors import EnvironmentFault, StatusError, UsageError
from tfs_deploy.launch.client import client_for
from tfs_deploy.launch.memory import memory_of
from tfs_deploy.launch.planning.facts import LaunchFacts
from tfs_deploy.launch.planning.trust import untrusted
from tfs_deploy.launch.reload import wait_for_answer
from tfs_deploy.launch.server import ServerPorts
from tfs_deploy.launch.server_state import (
    USUAL_LABELS,
    available_versions,
    host_paths,
    labelled_versions,
    versions_on_disk,
    written_config,
)
from tfs_deploy.launch.start_settings import changed_settings
from tfs_deploy.launch.targets import other_server, target_of
from tfs_deploy.state.active import read_active
from tfs_deploy.state.endpoint import read_endpoint
from tfs_deploy.state.last_start import read_last_start
from tfs_deploy.state.traffic import read_traffic, traffic_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path
    from typing import TypeAlias

    from tfs_deploy.client import Client
    from tfs_deploy.deployment.active import ActiveModel
    from tfs_deploy.deployment.deployment import Deployment, Model
    from tfs_deploy.errors import TfsDeployError
    from tfs_deploy.launch.server import StartedServer
    from tfs_deploy.launch.target import LaunchTarget, Leftover

    #: makes a client for a server of a deployment at an address
    Connect: TypeAlias = Callable[[Deployment, str], Client]


@dataclass(frozen=True, slots=True)
class LaunchObservation:
    """The facts, and what they were read from.

    ``served`` is the deployment as rollouts have left it (``records`` are those that still count, ``notes`` say which
    do not), ``server`` the one that runs.
    """

    deployment: Deployment
    served: Deployment
    target: LaunchTarget[Any]
    server: StartedServer | None
    records: Mapping[str, ActiveModel]
    notes: tuple[str, ...]
    facts: LaunchFacts


@dataclass(frozen=True, slots=True)
class _Found:
    """The deployment and its server: what the rest of the facts is read from.

    ``written`` is the config in the directory that the server reads, ``settings`` are those in which it differs.
    """

    deployment: Deployment
    served: Deployment
    records: Mapping[str, ActiveModel]
    target: LaunchTarget[Any]
    server: StartedServer | None
    written: Any
    settings: list[str]
    replacing: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a server answered: the versions it serves of each model, and what its labels lead to (None: not known)."""

    loaded: dict[str, set[int]]
    labels: dict[str, dict[str, int]] | None = None


def observe(
    deployment: Deployment,
    *,
    target: LaunchTarget[Any] | None = None,
    connect: Connect = client_for,
    force_replace: bool = False,
    wait: float = 0.0,
) -> LaunchObservation:
    """Return everything that counts for a plan.

    Args:
        deployment: as its file says.
        target: where its servers run; by default where the file says.
        connect: makes the client that asks the server.
        force_replace: whether a server that could be kept is replaced too.
        wait: seconds that a server which is still loading has to answer.

    Raises:
        EnvironmentFault, StatusError: the server, the engine or a file cannot be read.
    """
    records = read_active(deployment.state_dir)
    served, notes = apply_active(deployment, records)
    kept = _still_meant(deployment, served, records)
    target = target_of(deployment) if target is None else target
    server = target.current()
    settings = [] if server is None else changed_settings(server, target.settings(served))
    replacing = server is not None and (force_replace or bool(settings))
    found = _Found(deployment, served, kept, target, server, _written(served, server), settings, replacing)
    facts = _facts(found, _ask(found, connect, wait=wait), ended=[name for name in records if name not in kept])
    return LaunchObservation(deployment, served, target, server, kept, tuple(notes), facts)


def _facts(found: _Found, asked: _Asked, *, ended: list[str]) -> LaunchFacts:
    deployment, served, server = found.deployment, found.served, found.server
    config, paths = model_server_config(served), host_paths(served)
    pair = None if server is None else free_pair(served, server.ports)
    leftovers = found.target.leftovers()
    weights = _traffic_file(served, server)
    limit = found.target.memory_limit()
    return LaunchFacts(
        current=_current(served, found.written, asked),
        target=config,
        on_disk=versions_on_disk(found.written, paths) | versions_on_disk(config, paths),
        loaded=asked.loaded,
        server=None if server is None else server.name,
        ports=ports_of(served),
        memory=memory_of(served, asked.loaded, side_by_side=found.replacing, limit=limit),
        written=found.written,
        settings=tuple(found.settings),
        pair=pair,
        start_seconds=read_last_start(served.state_dir),
        routed=_routed(deployment, weights, found.records),
        traffic={model.name: model.traffic for model in deployment.models if model.name not in found.records},
        traffic_file=weights,
        paths=paths,
        leftovers=tuple(leftover.step for leftover in leftovers),
        config_link=_other_config_dir(served, server),
        endpoint=_other_endpoint(served, server),
        ended_rollouts=tuple(ended),
        fetches=found.target.fetches() if server is None or found.replacing else (),
        problems=tuple(_problems(found, pair or ports_of(served), leftovers)),
        source=str(deployment.source),
    )


def observe_address(deployment: Deployment, address: str, *, connect: Connect = client_for) -> LaunchFacts:
    """Return the facts about a server elsewhere; it cannot be asked for all its models, only for those we know of."""
    records = read_active(deployment.state_dir)
    served = apply_active(deployment, records)[0]
    kept = _still_meant(deployment, served, records)
    written, config = written_config(served.config_dir), model_server_config(served)
    with connect(served, address) as client:
        loaded = _loaded(client, served, written)
        current = _as_served(client, served, loaded)
    on_disk = versions_on_disk(config, host_paths(served))
    asked_for = [
        (model.name, policy_of(model).select(on_disk.get(model.name, ())))
        for message in (written, config)
        for model in message.model_config_list.config
    ]
    foreign = {
        name: sorted(versions - {version for model, wanted in asked_for if model == name for version in wanted})
        for name, versions in loaded.items()
    }
    return LaunchFacts(
        current=current,
        target=config,
        on_disk=on_disk,
        loaded=loaded,
        server=address,
        ports=ports_of(served),
        memory=memory_of(served, loaded, side_by_side=False, limit=target_of(deployment).memory_limit()),
        routed=_routed(deployment, read_traffic(traffic_path(served.state_dir)).models, kept),
        foreign=foreign,
        problems=tuple(untrusted(served)),
        source=str(deployment.source),
    )


def ports_of(served: Deployment) -> ServerPorts:
    """Return the ports that the file names first."""
    return ServerPorts(served.server.grpc_port, served.server.rest_port)


def free_pair(served: Deployment, current: ServerPorts) -> ServerPorts | None:
    """Return the pair of the file's ports that a successor can use beside ``current``, None if there is none."""
    pairs = [ports_of(served)]
    if served.server.alternate_ports is not None:
        pairs.append(ServerPorts(*served.server.alternate_ports))
    return next((pair for pair in pairs if not pair & current), None)


def _still_meant(deployment: Deployment, served: Deployment, records: dict[str, ActiveModel]) -> dict[str, ActiveModel]:
    """Drop the records that an edit of the file has ended, so that undoing the edit does not bring them back."""
    moved = {new.name for old, new in zip(deployment.models, served.models, strict=True) if old is not new}
    return {name: record for name, record in records.items() if name in moved}


def _written(served: Deployment, server: StartedServer | None) -> Any:
    if server is None:
        return protos.ModelServerConfig()
    return written_config(server.config_dir if server.config_dir.is_dir() else served.config_dir)


def _ask(found: _Found, connect: Connect, *, wait: float) -> _Asked:
    """Ask the server what it serves; one that is replaced anyway need not answer."""
    if found.server is None:
        return _Asked({})
    served, written = found.served, found.written
    with connect(served, found.server.grpc_address) as client:
        try:
            if wait and not found.replacing:
                # An earlier start may have been cut off while its server was still loading.
                wait_for_answer(client, served.models[0].name, end=time.monotonic() + wait)
            return _Asked(_loaded(client, served, written), _labels(client, served, written))
        except StatusError:
            if not found.replacing:
                raise
            return _Asked({})


def _loaded(client: Client, served: Deployment, written: Any) -> dict[str, set[int]]:
    names = dict.fromkeys([model.name for model in served.models])
    names |= dict.fromkeys(model.name for model in written.model_config_list.config)
    return {name: set(available_versions(client, name)) for name in names}


def _labels(client: Client, served: Deployment, written: Any) -> dict[str, dict[str, int]]:
    labels = {model.name: {*model.labels, *USUAL_LABELS} for model in served.models}
    for model in written.model_config_list.config:
        labels.setdefault(model.name, set()).update(model.version_labels)
    return {name: labelled_versions(client, name, of_model) for name, of_model in labels.items()}


def _current(served: Deployment, written: Any, asked: _Asked) -> Any:
    """Return the written config with the labels that the server really has, and with what else it serves."""
    message = protos.ModelServerConfig()
    message.CopyFrom(written)
    if asked.labels is None:
        return message
    known = {model.name for model in written.model_config_list.config}
    for model in served.models:
        if model.name not in known and asked.loaded.get(model.name):
            _add_served(message, served, model, VersionPolicy.specific(asked.loaded[model.name]))
    for entry in message.model_config_list.config:
        _set_labels(entry, asked.labels.get(entry.name, {}))
    return message


def _add_served(message: Any, served: Deployment, model: Model, policy: VersionPolicy) -> Any:
    entry = message.model_config_list.config.add(
        name=model.name, base_path=str(served.served_path(model)), model_platform=PLATFORM
    )
    set_policy(entry, policy)
    return entry


def _set_labels(entry: Any, labels: Mapping[str, int]) -> None:
    entry.version_labels.clear()
    for label, version in labels.items():
        entry.version_labels[label] = version


def _as_served(client: Client, served: Deployment, loaded: Mapping[str, set[int]]) -> Any:
    """Return what a server serves as a config; of labels only those of the file can be asked for."""
    message = protos.ModelServerConfig()
    message.model_config_list.SetInParent()
    on_disk = versions_on_disk(model_server_config(served), host_paths(served))
    for model in served.models:
        versions = loaded.get(model.name, set())
        if not versions:
            continue
        same = versions == set(model.version_policy.select(on_disk.get(model.name, [])))
        entry = _add_served(message, served, model, model.version_policy if same else VersionPolicy.specific(versions))
        _set_labels(entry, labelled_versions(client, model.name, {*model.labels, *USUAL_LABELS}))
    return message


def _traffic_file(served: Deployment, server: StartedServer | None) -> dict[str, dict[str, float]]:
    """Return the weights in the traffic file; a damaged one keeps no server from being started."""
    try:
        return read_traffic(traffic_path(served.state_dir)).models
    except EnvironmentFault:
        if server is not None:
            raise
        return {}


def _routed(
    deployment: Deployment, weights: Mapping[str, Mapping[str, float]], rolled: Mapping[str, Any]
) -> dict[str, dict[str, float]]:
    """Return the weights that clients follow once the file is in force: its own, else those of the traffic file."""
    return {
        model.name: dict(weights.get(model.name, {}) if model.name in rolled or not model.traffic else model.traffic)
        for model in deployment.models
    }


def _other_config_dir(served: Deployment, server: StartedServer | None) -> Path | None:
    """Return the directory that the server reads unless the link ``config`` leads there."""
    if server is None or not server.config_dir.is_dir() or server.config_dir == served.config_dir:
        return None
    link = served.config_dir
    return None if link.is_symlink() and link.readlink().name == server.config_dir.name else server.config_dir


def _other_endpoint(served: Deployment, server: StartedServer | None) -> tuple[str, str | None] | None:
    """Return the server's addresses unless the endpoint file says the same."""
    if server is None:
        return None
    addresses = server.grpc_address, server.rest_address
    with contextlib.suppress(EnvironmentFault):  # a damaged file is written again
        written = read_endpoint(served.state_dir)
        if written is not None and (written.grpc, written.rest, written.stopped) == (*addresses, False):
            return None
    return addresses


def _problems(found: _Found, ports: ServerPorts, leftovers: list[Leftover]) -> list[TfsDeployError]:
    """Return what keeps a server from its file, and from starting on ``ports`` where one is to be started."""
    other = other_server(found.deployment)
    problems: list[TfsDeployError] = [] if other is None else [other]
    problems += untrusted(found.served)
    problems += [UsageError(link.message, hint=HINT) for link in blind_links(found.served)]
    if found.server is None or found.replacing:
        freed = [leftover.ports for leftover in leftovers if leftover.ports is not None]
        if found.server is not None:
            freed.append(found.server.ports)
        problems += found.target.problems(found.served, ports.without(freed))
    return problems
