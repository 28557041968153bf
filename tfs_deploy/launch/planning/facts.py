# SPDX-License-Identifier: Apache-2.0
"""The facts that a plan is made from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from tfs_deploy.errors import TfsDeployError
    from tfs_deploy.launch.memory import Memory
    from tfs_deploy.launch.server import ServerPorts


@dataclass(frozen=True, slots=True)
class LaunchFacts:
    """Everything that ``decide`` looks at, read once.

    Attributes:
        current: the ``ModelServerConfig`` that the server follows, with the labels that it really has.
        target: the one that the deployment file asks for.
        on_disk: model -> versions under its base path.
        loaded: model -> versions that the server serves.
        server: what messages call the running server, None without one.
        ports: the ports that the file names first.
        memory: what the models need.
        written: the config in the directory that the server reads, None if it is ``current``.
        settings: one line for each setting in which the running server differs from the file.
        pair: the ports of the file that a successor can use beside the server.
        start_seconds: how long the last start took.
        routed: model -> label -> percent that clients follow once the file is in force.
        traffic: the weights that the file sets for models that no rollout has moved.
        traffic_file: the weights in the traffic file.
        foreign: model -> versions that are loaded and that this file never asked for.
        paths: base paths as the server sees them -> where they are on this machine; empty for a server elsewhere.
        leftovers: what is to be done about a replacement that was cut off.
        config_link: the directory that the server reads, if the link ``config`` leads elsewhere.
        endpoint: the addresses of the server, if the endpoint file says something else.
        ended_rollouts: models whose rollout the file has overridden since.
        fetches: what a start would fetch first, one line for each thing.
        problems: what would keep the steps from being carried out, as the launch target says.
        source: the deployment file.
    """

    current: Any
    target: Any
    on_disk: Mapping[str, Collection[int]]
    loaded: Mapping[str, Collection[int]]
    server: str | None
    ports: ServerPorts
    memory: Memory
    written: Any = None
    settings: tuple[str, ...] = ()
    pair: ServerPorts | None = None
    start_seconds: float | None = None
    routed: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    traffic: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    traffic_file: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    foreign: Mapping[str, Collection[int]] = field(default_factory=dict)
    paths: Mapping[str, Path] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()
    config_link: Path | None = None
    endpoint: tuple[str, str | None] | None = None
    ended_rollouts: tuple[str, ...] = ()
    fetches: tuple[str, ...] = ()
    problems: tuple[TfsDeployError, ...] = ()
    source: str = "FILE"
