"""What a controller needs of the world: one protocol for each thing that it observes or acts on.

``adapters`` implements them for real servers; the tests implement them for simulated ones.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tfs_deploy.rollout.check_result import CheckResult
    from tfs_deploy.rollout.gates.gate import Gate
    from tfs_deploy.rollout.gates.request_stats import WindowSummary
    from tfs_deploy.rollout.machine.history import Event
    from tfs_deploy.rollout.machine.observation import ServerView
    from tfs_deploy.rollout.machine.plan import RolloutPlan
    from tfs_deploy.rollout.machine.traffic_split import TrafficSplit


class ModelServer(Protocol):
    """One model on a server, or on several servers that act as one."""

    def observe(self, labels: Iterable[str]) -> ServerView:
        """Ask for the states of all versions and what ``labels`` point at; raises ``StatusError``."""

    def apply(self, versions: tuple[int, ...], labels: Mapping[str, int]) -> None:
        """Make exactly ``versions`` wanted and ``labels`` set: configuration file first, then the same by reload.

        Loading is not awaited. A refusal of the server raises ``StatusError`` and leaves the file as it was.
        """


class ServerProcess(Protocol):
    """The process behind a server, where it is known."""

    def ended(self) -> bool:
        """Whether the process was started by this toolkit and has ended without being asked."""

    def replaced(self) -> bool:
        """Whether another process serves in place of the first one seen, or of the one that ``revive`` started."""

    def revive(self) -> None:
        """Start it again with what the files say, and wait until it serves; raises ``LaunchError``."""

    def memory(self) -> int | None:
        """Return the bytes of memory that it uses, ``None`` where that cannot be told.

        Raises ``EnvironmentFault`` where it could be told, but not now.
        """


class TrafficControl(Protocol):
    """The split that consumers of one model follow."""

    def read(self) -> TrafficSplit | None:
        """Return the split, or ``None`` when nothing is recorded."""

    def write(self, split: TrafficSplit) -> None:
        """Replace the split at once."""


class VersionChecks(Protocol):
    """What needs the model's files."""

    def preflight(self, plan: RolloutPlan) -> CheckResult:
        """Judge the new version before anything is touched."""

    def smoke(self, version: int) -> CheckResult:
        """Ask the served version by number and compare with its recorded answers."""

    def prune(self, keep: int, served: int) -> str:
        """Remove all but the ``keep`` newest versions from the disk and say in one line what was done."""


class Hooks(Protocol):
    """What people want to happen before and after phases, and to be told."""

    def run(self, when: str, phase: str, facts: Mapping[str, Any]) -> str | None:
        """Run the hooks ``before`` or ``after`` a phase; return in one line why one of them objects."""

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Send a notification; never waits for long and never fails."""

    def close(self) -> None:
        """Wait a moment for what is still to be sent."""


class RequestSource(Protocol):
    """Where the numbers about real requests come from."""

    def window(self, start: float, end: float) -> Mapping[str, WindowSummary]:
        """Summarise by label the requests that ended within ``[start, end)``, in ``time.monotonic()`` seconds."""


class Clock(Protocol):
    """Time: ``now`` is for people, ``monotonic`` for durations."""

    def now(self) -> float:
        """Return seconds since the epoch."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""


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
    traffic: TrafficControl
    checks: VersionChecks
    gates: Sequence[Gate]
    requests: RequestSource | None
    log: EventLog
    mailbox: Mailbox
    clock: Clock
    hooks: Hooks = field(default_factory=NoHooks)
