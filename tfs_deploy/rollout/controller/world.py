# SPDX-License-Identifier: Apache-2.0
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
        """Return the states of all versions and the versions of ``labels``; raises ``StatusError``."""

    def apply(self, versions: tuple[int, ...], labels: Mapping[str, int]) -> None:
        """Ask for exactly ``versions`` and ``labels``: first in the config file, then by a reload.

        Does not wait for the load. A refusal of the server raises ``StatusError`` and leaves the file as it was.
        """


class ServerProcess(Protocol):
    """The process behind a server, where it is known."""

    def ended(self) -> bool:
        """Whether this toolkit started the process and it has ended unexpectedly."""

    def replaced(self) -> bool:
        """Whether another process has replaced the first one seen, or the one that ``revive`` started."""

    def revive(self) -> None:
        """Start it again from its files and wait until it serves; raises ``LaunchError``."""

    def memory(self) -> int | None:
        """Return the bytes of memory that it uses, ``None`` where that is unknown.

        Raises ``EnvironmentFault`` where it is unknown only at the moment.
        """

    def room(self) -> int | None:
        """Return the bytes of memory that it can still get, ``None`` where that is unknown."""


class TrafficControl(Protocol):
    """The owner of one model's traffic: reads and replaces the split that consumers follow."""

    def read(self) -> TrafficSplit | None:
        """Return the split, or ``None`` when nothing is recorded."""

    def write(self, split: TrafficSplit) -> None:
        """Replace the split at once."""


class CandidateChecks(Protocol):
    """Checks of a version, with the model's files."""

    def preflight(self, plan: RolloutPlan) -> CheckResult:
        """Check the new version before anything is touched."""

    def smoke(self, version: int) -> CheckResult:
        """Compare the answers of a served version, called by number, with its recorded ones."""

    def missing(self, version: int) -> str:
        """Return the directory of a version that is not on the disk, empty for one that is."""

    def prune(self, keep: int, served: int) -> str:
        """Remove all but the ``keep`` newest versions from the disk; return in one line what was done."""


class Hooks(Protocol):
    """Hooks before and after phases, and notifications."""

    def run(self, when: str, phase: str, facts: Mapping[str, Any]) -> str | None:
        """Run the hooks ``before`` or ``after`` a phase; return in one line why one of them objects."""

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Send a notification; never waits long and never fails."""

    def close(self) -> None:
        """Wait a moment for notifications that are not sent yet."""


class RequestSource(Protocol):
    """A source of numbers about real requests."""

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
    """The journal; an entry is on the disk when ``append`` returns."""

    @property
    def starved(self) -> str:
        """Why entries use the last room on the disk; empty if they do not."""

    def append(self, event: Event) -> None:
        """Add one entry."""

    def make_room(self, error: BaseException | None) -> bool:
        """Give up the reserved room if ``error`` is that of a full disk; return whether it was given up."""


class Mailbox(Protocol):
    """Requests of other processes to the running controller."""

    def read(self) -> str | None:
        """Return the request, ``None`` if there is none."""

    def clear(self) -> None:
        """Remove the request once it is met."""


class NoHooks:
    """No hooks and no notifications."""

    def run(self, when: str, phase: str, facts: Mapping[str, Any]) -> str | None:
        """Run nothing."""
        del when, phase, facts
        return None

    def tell(self, facts: Mapping[str, Any]) -> None:
        """Send nothing."""

    def close(self) -> None:
        """Wait for nothing."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a controller observes and acts on."""

    server: ModelServer
    process: ServerProcess
    traffic: TrafficControl
    checks: CandidateChecks
    gates: Sequence[Gate]
    requests: RequestSource | None
    log: EventLog
    mailbox: Mailbox
    clock: Clock
    hooks: Hooks = field(default_factory=NoHooks)
