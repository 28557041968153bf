"""The world that a controller works in: everything outside that is observed and acted on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.rollout.machine.history import Event
    from tfs_deploy.rollout.machine.observation import (
        Checks,
        Clock,
        Gate,
        Hooks,
        ModelServer,
        Requests,
        ServerProcess,
        Traffic,
    )


class EventLog(Protocol):
    """Where entries are kept; an entry is safe when ``append`` returns."""

    @property
    def starved(self) -> str:
        """Why entries are written with the last room on the disk; empty if they are not."""

    def append(self, event: Event) -> None:
        """Add one entry."""

    def make_room(self, error: BaseException | None) -> bool:
        """Give up what room was kept for the way back if ``error`` is that of a full disk; return whether it was."""


class Mailbox(Protocol):
    """Where other processes ask the running controller for something."""

    def read(self) -> str | None:
        """Return the request, ``None`` if there is none."""

    def clear(self) -> None:
        """Forget the request: it has been met."""


class NoHooks:
    """Nobody wants to be asked or told."""

    def run(self, when: str, phase: str, facts: Mapping[str, Any]) -> str | None:
        """Run nothing."""
        del when, phase, facts
        return None

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Tell nobody."""

    def close(self) -> None:
        """There is nothing to wait for."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside: what is observed and acted on."""

    server: ModelServer
    process: ServerProcess
    traffic: Traffic
    checks: Checks
    gates: Sequence[Gate]
    requests: Requests | None
    log: EventLog
    mailbox: Mailbox
    clock: Clock
    hooks: Hooks = field(default_factory=NoHooks)
