# SPDX-License-Identifier: Apache-2.0
"""The steps of ``up``: what ``decide`` returns, ``plan`` shows and ``Executor`` carries out.

Each step is a value with the ``lines`` that describe it. Every kind of step is listed in ``Step``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tfs_deploy.launch.server import ServerPorts


@dataclass(frozen=True, slots=True)
class ClearLeftovers:
    """Put in order what a replacement left that was cut off."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UseConfigDir:
    """Point the link ``config`` of the state directory at the directory that the running server reads."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StartServer:
    """Start a server on ``ports``, wait for its versions and compare its labels."""

    lines: tuple[str, ...]
    ports: ServerPorts


@dataclass(frozen=True, slots=True)
class ReplaceBeside:
    """Start a successor on ``ports`` beside the server in use, send clients there, then stop the old server."""

    lines: tuple[str, ...]
    ports: ServerPorts


@dataclass(frozen=True, slots=True)
class ReplaceInPlace:
    """Try the new settings on unused ports, stop the server in use, and start its successor on ``ports``."""

    lines: tuple[str, ...]
    ports: ServerPorts


@dataclass(frozen=True, slots=True)
class ReloadConfig:
    """Write ``config`` (a ``ModelServerConfig``), send it, and wait for what it loads and unloads.

    ``unloads`` leads from models to the versions that this config makes the server unload.
    """

    lines: tuple[str, ...]
    config: Any
    unloads: Mapping[str, Collection[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WriteTraffic:
    """Write one model's weights (label -> percent) into the traffic file that routers follow."""

    lines: tuple[str, ...]
    model: str
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class WriteEndpoint:
    """Write the addresses of the running server into the endpoint file that clients follow."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EndRollouts:
    """Drop what rollouts left for models whose section of the deployment file was edited or removed."""

    lines: tuple[str, ...]


Step: TypeAlias = (
    ClearLeftovers
    | UseConfigDir
    | StartServer
    | ReplaceBeside
    | ReplaceInPlace
    | ReloadConfig
    | WriteTraffic
    | WriteEndpoint
    | EndRollouts
)
