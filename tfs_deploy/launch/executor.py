# SPDX-License-Identifier: Apache-2.0
"""Carrying out the steps of a plan, one after the other, exactly as they were decided."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.atomic import write_files
from tfs_deploy.config.files import MODELS
from tfs_deploy.config.models import render
from tfs_deploy.launch.planning.steps import (
    ClearLeftovers,
    EndRollouts,
    ReloadConfig,
    ReplaceBeside,
    ReplaceInPlace,
    StartServer,
    UseConfigDir,
    WriteEndpoint,
    WriteTraffic,
)
from tfs_deploy.launch.reload import reload_config, wait_for_unloads, wait_for_versions
from tfs_deploy.launch.replace import Replacement, Starter, replace_beside, replace_in_place
from tfs_deploy.state.active import write_active
from tfs_deploy.state.config_generations import use_generation
from tfs_deploy.state.endpoint import write_endpoint
from tfs_deploy.state.last_start import write_last_start
from tfs_deploy.state.traffic import traffic_path, write_traffic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfs_deploy.launch.planning.observe import Connect, LaunchObservation
    from tfs_deploy.launch.planning.steps import Step
    from tfs_deploy.launch.server import StartedServer

#: seconds that a server takes at most for the part of a reload that is not about loading
_SHORTEST_RELOAD: Final = 10.0
#: seconds that versions have to leave which calls may hold up
_UNLOAD: Final = 5.0


class Executor:
    """Carries out steps; a start may take ``timeout`` seconds, reloads until ``end`` (of ``time.monotonic``).

    ``server`` is the one that serves afterwards, ``taken`` the steps that were completed,
    ``notes`` are for the caller to print, ``gap`` is the downtime of a replacement in seconds.
    """

    def __init__(self, seen: LaunchObservation, *, connect: Connect, timeout: float, end: float) -> None:
        self.server: StartedServer | None = seen.server
        self.taken: list[Step] = []
        self.notes: list[str] = []
        self.gap: float | None = None
        self._seen = seen
        self._state_dir = seen.deployment.state_dir
        self._connect = connect
        self._starter = Starter(seen, connect, timeout)
        self._end = end
        self._written = seen.facts.written

    def run(self, steps: Iterable[Step]) -> None:
        """Carry out the steps in order; the first error ends it, and what was completed is in ``taken``."""
        for step in steps:
            self._take(step)
            self.taken.append(step)

    def _take(self, step: Step) -> None:
        match step:
            case ClearLeftovers():
                self.notes += self._seen.target.clear_leftovers()
                self.server = self._seen.target.current()
            case UseConfigDir():
                use_generation(self._state_dir, self._running.config_dir)
            case StartServer():
                self._start(step)
            case ReplaceBeside():
                self._replaced(replace_beside(self._starter, self._running, step.ports, on_switch=self._endpoint))
            case ReplaceInPlace():
                self._replaced(replace_in_place(self._starter, self._running, step.ports, on_switch=self._endpoint))
            case ReloadConfig():
                self._reload(step)
            case WriteTraffic():
                write_traffic(traffic_path(self._state_dir), step.model, step.weights)
            case WriteEndpoint():
                self._endpoint(self._running)
            case EndRollouts():
                write_active(self._state_dir, self._seen.records)

    @property
    def _running(self) -> StartedServer:
        assert self.server is not None
        return self.server

    def _start(self, step: StartServer) -> None:
        began = time.monotonic()
        self.server, config_dir = self._starter.start(step.ports, successor=False)
        write_last_start(self._state_dir, time.monotonic() - began)
        use_generation(self._state_dir, config_dir)
        self.notes += self._seen.target.keep_running(self.server)
        self._endpoint(self.server)

    def _replaced(self, done: Replacement) -> None:
        self.server, self.gap = done.server, done.gap
        self.notes += done.notes

    def _endpoint(self, server: StartedServer) -> None:
        write_endpoint(self._state_dir, server.grpc_address, server.rest_address)

    def _reload(self, step: ReloadConfig) -> None:
        """Make the running server follow a config; it goes on with what it had if it refuses."""
        before, left = self._written, self._end - time.monotonic()
        with self._connect(self._seen.served, self._running.grpc_address) as client:
            reload_config(
                client,
                step.config,
                write=lambda: self._write(step.config),
                restore=lambda: self._write(before),
                timeout=max(left, _SHORTEST_RELOAD),
            )
            self._written = step.config
            wait_for_versions(client, step.config, self._seen.facts.on_disk, end=self._end)
            wait_for_unloads(client, step.unloads, end=min(self._end, time.monotonic() + _UNLOAD))

    def _write(self, config: Any) -> None:
        write_files(self._seen.served.config_dir, {MODELS: render(config)})
