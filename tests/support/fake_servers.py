# SPDX-License-Identifier: Apache-2.0
"""A launch target and model servers that live in this process: the rules of TensorFlow Serving without models.

``FakeTarget`` implements ``LaunchTarget``; ``FakeServer`` follows a config as the real one does and notes what each
reload made it do, and ``FakeClient`` speaks to it with the methods of ``Client`` that the launch code calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.client import ModelMetadata, VersionStatus
from tfs_deploy.config import parse
from tfs_deploy.config.policies import policy_of
from tfs_deploy.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    PortInUseError,
    TfsDeployError,
    UnavailableError,
)
from tfs_deploy.launch.server_state import version_numbers
from tfs_deploy.launch.start_settings import start_settings
from tfs_deploy.launch.target import Leftover

if TYPE_CHECKING:
    from typing_extensions import Self

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.launch.memory import MemoryLimit
    from tfs_deploy.launch.server import ServerPorts


@dataclass
class FakeServer:
    """One server; ``reloads`` holds one list of lines for each reload, in the words of a plan."""

    number: int
    ports: ServerPorts
    config_dir: Path
    settings: tuple[str, ...]
    running: bool = True
    #: whether it has followed a config; at its start it takes a label for a version that it does not serve yet
    serving: bool = False
    loaded: dict[str, set[int]] = field(default_factory=dict)
    labels: dict[str, dict[str, int]] = field(default_factory=dict)
    reloads: list[list[str]] = field(default_factory=list)
    #: called whenever a reload or a stop has changed something: clients that call throughout
    callers: list[Callable[[], None]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"server {self.number}"

    @property
    def pid(self) -> int:
        return self.number

    @property
    def grpc_address(self) -> str:
        return f"127.0.0.1:{self.ports.grpc}"

    @property
    def rest_address(self) -> str | None:
        return f"127.0.0.1:{self.ports.rest}" if self.ports.rest else None

    def start(self) -> None:
        """Read the config as a server does at its start."""
        self.apply(parse((self.config_dir / "models.config").read_text()))
        self.reloads.clear()

    def apply(self, config: Any) -> None:
        """Load what a config asks for, unload what it does not ask for, then set its labels.

        The real server unloads while it sets the labels; a client may meet any order, so here it meets the worst.
        """
        wanted = {
            model.name: set(policy_of(model).select(version_numbers(model.base_path)))
            for model in config.model_config_list.config
        }
        labels = {model.name: dict(model.version_labels) for model in config.model_config_list.config}
        for name, of_model in labels.items():
            for label, version in of_model.items():
                if self.serving and version not in self.loaded.get(name, set()):
                    raise FailedPreconditionError(f"{label} of {name}: version {version} is not currently available")
        lines = [f"load {name} version {n}" for name in wanted for n in wanted[name] - self.loaded.get(name, set())]
        for name, of_model in labels.items():
            had = self.labels.get(name, {})
            lines += [f"remove label {label} of {name}" for label in had.keys() - of_model.keys()]
            for label, version in of_model.items():
                if had.get(label) != version:
                    moved = f", from version {had[label]}" if label in had else ""
                    lines.append(f"point label {label} of {name} at version {version}{moved}")
        leaving = {name: self.loaded[name] - wanted.get(name, set()) for name in self.loaded}
        lines += [f"unload {name} version {n}" for name, versions in leaving.items() for n in versions]
        for loaded in ({name: self.loaded.get(name, set()) | wanted[name] for name in wanted}, wanted):
            self.loaded = {name: versions for name, versions in loaded.items() if versions}
            self._changed()
        self.labels = labels
        self._changed()
        self.reloads.append(lines)
        self.serving = True

    def _changed(self) -> None:
        for call in self.callers:
            call()

    def alive(self) -> bool:
        return self.running

    def stop(self, timeout: float) -> bool:
        self.running = False
        self._changed()
        return True

    def usage(self) -> Any:
        raise NotImplementedError

    def follow(self) -> Iterator[str]:
        return iter(())

    def log_lines(self, count: int = 20) -> list[str]:
        return []


class FakeClient:
    """Asks a ``FakeServer``."""

    def __init__(self, server: FakeServer | None) -> None:
        self._server = server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is open."""

    @property
    def server(self) -> FakeServer:
        if self._server is None or not self._server.running:
            raise UnavailableError("connection refused")
        return self._server

    def status(self, model: str) -> list[VersionStatus]:
        if model not in self.server.loaded:
            raise NotFoundError(f"Could not find any versions of model {model}")
        return [VersionStatus(version, "AVAILABLE") for version in sorted(self.server.loaded[model])]

    def metadata(self, model: str, *, label: str) -> ModelMetadata:
        version = self.server.labels.get(model, {}).get(label)
        if version is None:
            raise InvalidArgumentError(f"Unrecognized servable version label: {label}")
        if version not in self.server.loaded.get(model, set()):
            raise NotFoundError(f"Servable not found for request: Specific({model}, {version})")
        return ModelMetadata(model, version, {})

    def reload(self, config: Any, *, timeout: float) -> None:
        message = protos.ModelServerConfig()
        message.CopyFrom(config)
        self.server.apply(message)

    def wait_ready(self, model: str, *, version: int, timeout: float) -> int:
        assert version in self.server.loaded.get(model, set()), f"{model} {version} would never be ready"
        return version


class FakeTarget:
    """Where servers of one deployment run; ``calls`` are what was changed, in order."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.in_use: FakeServer | None = None
        self.left: FakeServer | None = None
        self.servers: list[FakeServer] = []
        self.busy: set[int] = set()
        self.limit: MemoryLimit | None = None
        self.calls: list[str] = []

    def connect(self, deployment: Deployment, address: str) -> Any:
        return FakeClient(next((one for one in self.servers if one.running and one.grpc_address == address), None))

    def current(self) -> FakeServer | None:
        return self.in_use if self.in_use is not None and self.in_use.running else None

    def ended(self) -> bool:
        return self.in_use is not None and not self.in_use.running

    def explain_end(self) -> str:
        return ""

    def leftovers(self) -> list[Leftover]:
        return [] if self.left is None else [Leftover(f"stop {self.left.name}", self.left.ports)]

    def clear_leftovers(self) -> list[str]:
        assert self.left is not None
        self.left.stop(0)
        self.calls.append(f"stop {self.left.name}")
        self.left = None
        return []

    def problems(self, served: Deployment, ports: ServerPorts) -> Iterator[TfsDeployError]:
        for port in (ports.grpc, ports.rest):
            if port in self.busy:
                yield PortInUseError(f"port {port} is in use")

    def settings(self, served: Deployment) -> tuple[str, ...]:
        return start_settings(served)

    def fetches(self) -> tuple[str, ...]:
        return ()

    def memory_limit(self) -> MemoryLimit | None:
        return self.limit

    def start(
        self, served: Deployment, ports: ServerPorts, config_dir: Path, *, successor: bool, timeout: float
    ) -> FakeServer:
        held = {port for one in self.servers if one.running for port in (one.ports.grpc, one.ports.rest)}
        assert not held & {ports.grpc, ports.rest} - {0}, "two servers on one port"
        server = FakeServer(len(self.servers) + 1, ports, config_dir, start_settings(served))
        self.servers.append(server)
        server.start()
        self.calls.append(f"start {server.name}")
        if not successor:
            self.in_use = server
        return server

    def promote(self, successor: FakeServer, current: FakeServer | None) -> None:
        self.calls.append(f"promote {successor.name}")
        self.in_use = successor

    def pause(self, server: FakeServer, timeout: float) -> None:
        self.calls.append(f"stop {server.name}")
        server.stop(timeout)

    def resume(self, server: FakeServer, timeout: float) -> None:
        raise NotImplementedError

    def keep_running(self, server: FakeServer) -> tuple[str, ...]:
        return ()

    def discard(self, server: FakeServer, timeout: float) -> None:
        if server.running:
            self.calls.append(f"stop {server.name}")
        server.stop(timeout)

    def clear(self) -> None:
        self.in_use = None

    def log(self, count: int) -> list[str] | None:
        return None
