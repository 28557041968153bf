"""What the parts of a deployment's life know of a server, whatever it runs in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.host.usage import Usage
    from tfs_deploy.launch.docker.container import Ports


class Server(Protocol):
    """One started server; ``settings`` is what it read at its start (see ``settings``)."""

    @property
    def name(self) -> str:
        """How a person calls it: ``server 123``, ``container tfs-deploy-shop-0a1b2c3d``."""

    @property
    def pid(self) -> int | None:
        """The number of its process on this machine, None if it has none."""

    @property
    def ports(self) -> Ports:
        """The ports of this machine that lead to it."""

    @property
    def grpc_address(self) -> str:
        """``HOST:PORT`` of its gRPC API."""

    @property
    def rest_address(self) -> str | None:
        """``HOST:PORT`` of its REST API, None without."""

    @property
    def settings(self) -> tuple[str, ...]:
        """What it was started with."""

    @property
    def config_dir(self) -> Path:
        """The directory of this machine that it reads its config from."""

    def alive(self) -> bool:
        """Tell whether it runs."""

    def stop(self, timeout: float) -> bool:
        """Stop it, by force after ``timeout`` seconds; return whether it left by itself."""

    def usage(self) -> Usage:
        """Return what it uses of its machine now."""

    def follow(self) -> Iterator[str]:
        """Yield what is added to its log from now on, until it ends."""

    def log_lines(self, count: int = 20) -> list[str]:
        """Return the last lines of its log."""


S = TypeVar("S", bound=Server)


class Host(Protocol[S]):
    """Where the servers of one deployment run: at most one in use, and one that is to replace it."""

    def heal(self) -> list[str]:
        """Put in order what an interrupted command left; returns a note for each thing done."""

    def current(self) -> S | None:
        """Return the server in use if it runs."""

    def ended(self) -> bool:
        """Tell whether there was a server in use that ended without being asked."""

    def explain_end(self) -> str:
        """Say why it ended, nothing where that is not known."""

    def start(self, served: Deployment, ports: Ports, config_dir: Path, *, successor: bool, timeout: float) -> S:
        """Start a server, the one in use or its ``successor``, and wait for its ports.

        What does not come up is gone when this raises, and its last words are in the error.
        """

    def promote(self, successor: S, current: S | None) -> None:
        """Make the successor the server in use; the other one still runs."""

    def pause(self, server: S, timeout: float) -> None:
        """Stop a server so that ``resume`` can bring it back."""

    def resume(self, server: S, timeout: float) -> None:
        """Start a paused server again."""

    def serving(self, server: S) -> tuple[str, ...]:
        """Take note that a server serves: from now on it is kept up; returns notes on what cannot be done here."""

    def discard(self, server: S, timeout: float) -> None:
        """Stop a server for good and forget it."""

    def clear(self) -> None:
        """Remove whatever is left that is not the server in use."""

    def log(self, count: int) -> list[str] | None:
        """Return the last lines of the log of the server in use or of the last one that failed, None without any."""
