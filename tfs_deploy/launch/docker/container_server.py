# SPDX-License-Identifier: Apache-2.0
"""One container of the Docker Engine that holds a server."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.deployment.docker import GRPC_PORT, REST_PORT
from tfs_deploy.host.addresses import reached_from_here
from tfs_deploy.host.usage import Usage, container_usage
from tfs_deploy.launch.docker.container import LABEL_CONFIG_DIR, LABEL_SETTINGS
from tfs_deploy.launch.docker.engine import translated
from tfs_deploy.launch.docker.settings import image_line
from tfs_deploy.launch.exit_status import describe_exit
from tfs_deploy.launch.server import ServerPorts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.launch.docker.engine import DockerEngine

_OUT_OF_MEMORY: Final = 137
#: seconds in which the engine says that memory was the reason: the end of the container may be known before
_REASON_SECONDS: Final = 2.0


@dataclass(slots=True)
class ContainerServer:
    """See ``Server``; ``facts`` is what the engine says of the container, as of the last ``look``."""

    engine: DockerEngine
    id: str
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def find(cls, engine: DockerEngine, name: str) -> ContainerServer | None:
        """Return the container of that name, None if there is none."""
        from docker.errors import NotFound

        with translated():
            try:
                facts = engine.api.inspect_container(name)
            except NotFound:
                return None
        return cls(engine, facts["Id"], facts)

    def look(self) -> dict[str, Any]:
        """Ask the engine for the container's state; empty once it is gone."""
        from docker.errors import NotFound

        with translated():
            try:
                self.facts = self.engine.api.inspect_container(self.id)
            except NotFound:
                return {}
        state: dict[str, Any] = self.facts["State"]
        return state

    @property
    def container(self) -> str:
        """The container's name."""
        return str(self.facts["Name"]).lstrip("/")

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"container {self.container}"

    @property
    def pid(self) -> int | None:
        """The number of the server's process on this machine: the child of the container's init process."""
        init = self.facts["State"].get("Pid") or None
        if init is None:
            return None
        try:
            children = Path(f"/proc/{init}/task/{init}/children").read_text(encoding="ascii").split()
        except OSError:
            return int(init)  # the engine is in another namespace of processes, as on a desktop's virtual machine
        return int(children[0]) if children else int(init)

    @property
    def image(self) -> str:
        """The reference that it was started with."""
        return str(self.facts["Config"]["Image"])

    @property
    def image_id(self) -> str:
        """The id of the image that it was made of."""
        return str(self.facts["Image"])

    @property
    def settings(self) -> tuple[str, ...]:
        """The settings it was started with."""
        return (*json.loads(self.facts["Config"]["Labels"].get(LABEL_SETTINGS, "[]")), image_line(self.image_id))

    @property
    def config_dir(self) -> Path:
        """The directory on this machine that it reads its config from."""
        return Path(self.facts["Config"]["Labels"].get(LABEL_CONFIG_DIR, ""))

    @property
    def ports(self) -> ServerPorts:
        """The ports of this machine that lead to it."""
        grpc, rest = (int((self._binding(port) or {}).get("HostPort", 0)) for port in (GRPC_PORT, REST_PORT))
        return ServerPorts(grpc, rest)

    @property
    def grpc_address(self) -> str:
        """``HOST:PORT`` of its gRPC API."""
        return self._address(GRPC_PORT) or ""

    @property
    def rest_address(self) -> str | None:
        """``HOST:PORT`` of its REST API, None without."""
        return self._address(REST_PORT)

    def _binding(self, port: int) -> dict[str, Any] | None:
        bindings = self.facts["HostConfig"].get("PortBindings") or {}
        found: list[dict[str, Any]] = bindings.get(f"{port}/tcp") or []
        return found[0] if found else None

    def _address(self, port: int) -> str | None:
        binding = self._binding(port)
        if binding is None:
            return None
        return str(reached_from_here(binding.get("HostIp") or "", int(binding["HostPort"])))

    def alive(self) -> bool:
        """Tell whether it runs."""
        state = self.look()
        return bool(state.get("Running")) and not state.get("Restarting")

    def stop(self, timeout: float) -> bool:
        """Stop it, by force after ``timeout`` seconds; the container stays, with its log."""
        from docker.errors import NotFound

        with translated():
            try:
                # The SDK waits for the engine's answer for this long on top of its own limit.
                self.engine.api.stop(self.id, timeout=max(round(timeout), 1))
            except NotFound:
                return True
        return self.exit_code() != _OUT_OF_MEMORY

    def exit_code(self) -> int | None:
        """Return the exit code once it has ended."""
        state = self.look()
        return None if not state or state.get("Running") else int(state["ExitCode"])

    def explain_end(self) -> str:
        """Say why it ended: its exit code with the meaning, and whether its memory limit was the reason."""
        state = self.look()
        deadline = time.monotonic() + _REASON_SECONDS
        while state.get("ExitCode") == _OUT_OF_MEMORY and not state.get("OOMKilled") and time.monotonic() < deadline:
            time.sleep(0.1)
            state = self.look()
        if not state:
            return "the container is gone"
        if state.get("OOMKilled"):
            return f"exit code {state['ExitCode']} (out of memory: its limit is server.docker.memory)"
        error = f": {state['Error']}" if state.get("Error") else ""
        return describe_exit(int(state["ExitCode"])) + error

    def log_lines(self, count: int = 20) -> list[str]:
        """Return the last lines of its log, standard output and error together."""
        with translated():
            data: bytes = self.engine.api.logs(self.id, tail=count)
        return [line for line in data.decode(errors="replace").splitlines() if line.strip()]

    def follow(self) -> Iterator[str]:
        """Yield what is added to its log from now on, until it ends."""
        with translated():
            for chunk in self.engine.api.logs(self.id, tail=0, stream=True, follow=True):
                yield chunk.decode(errors="replace").rstrip("\n")

    def usage(self) -> Usage:
        """Return its CPU, memory and network use now; the engine measures for a second."""
        with translated():
            return container_usage(self.engine.api.stats(self.id, stream=False))

    def remove(self) -> None:
        """Remove the container, by force if it still runs."""
        from docker.errors import APIError, NotFound

        end = time.monotonic() + 10
        while True:
            with translated():
                try:
                    self.engine.api.remove_container(self.id, force=True, v=True)
                except NotFound:
                    return
                except APIError as error:
                    # Another program is removing the same container.
                    if error.status_code != 409 or time.monotonic() > end:
                        raise
                    time.sleep(0.1)
                    continue
            return
