# SPDX-License-Identifier: Apache-2.0
"""A server that was started: where it answers, how it is stopped."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tfs_deploy.host.usage import Usage, process_usage
from tfs_deploy.launch.logs import follow, tail
from tfs_deploy.launch.server import STOP_TIMEOUT, ServerPorts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

    from tfs_deploy.launch.embedded.process import Process


@dataclass(slots=True)
class RunningServer:
    """One started server; as a context manager it is stopped on the way out.

    ``grpc_address`` and ``rest_address`` are ``host:port``, ``rest_address`` None without REST; ``log_start`` is the
    size that the log had before this start; ``settings`` is what it read at its start (see ``start_settings``).
    """

    process: Process
    grpc_address: str
    rest_address: str | None
    log_path: Path
    flags: tuple[str, ...] = field(default=())
    log_start: int = 0
    settings: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"server {self.pid}"

    @property
    def ports(self) -> ServerPorts:
        """The ports of this machine that lead to it."""
        grpc, rest = (
            int(address.rpartition(":")[2]) if address else 0 for address in (self.grpc_address, self.rest_address)
        )
        return ServerPorts(grpc, rest)

    @property
    def config_dir(self) -> Path:
        """The directory that it reads its config from."""
        paths = [flag.partition("=")[2] for flag in self.flags if flag.startswith("--model_config_file=")]
        return Path(paths[-1]).parent if paths else self.log_path.parent / "config"

    @property
    def pid(self) -> int:
        """The process number."""
        return self.process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, once known; only the process that started a server learns it."""
        return self.process.exit_code

    def alive(self) -> bool:
        """Tell whether the server's process runs."""
        return self.process.alive()

    def stop(self, timeout: float = STOP_TIMEOUT) -> bool:
        """Stop the server, by force after ``timeout`` seconds; return whether it ended by itself. May be repeated."""
        return self.process.stop(timeout)

    def usage(self) -> Usage:
        """Return its CPU, memory and network use now, measured for half a second."""
        return process_usage(self.pid)

    def follow(self) -> Iterator[str]:
        """Yield what is added to its log from now on, until it ends."""
        for chunk in follow(self.log_path, alive=self.alive):
            yield chunk.rstrip("\n")

    def log_lines(self, count: int = 20) -> list[str]:
        """Return the last lines of this start's log."""
        return tail(self.log_path, count, start=self.log_start)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
