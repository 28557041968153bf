"""What a rollout needs from the world: small protocols, so that it runs against real servers and simulated ones."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfs_deploy.rollout.machine.plan import Plan
    from tfs_deploy.rollout.machine.stats import WindowSummary

#: states of a version (tensorflow_serving/apis/get_model_status.proto)
START: Final = "START"
LOADING: Final = "LOADING"
AVAILABLE: Final = "AVAILABLE"
UNLOADING: Final = "UNLOADING"
END: Final = "END"


class Verdict(enum.Enum):
    """What a gate says of a step."""

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    TOO_FEW = "too few samples"


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version as the server reports it; ``code`` and ``message`` say why it ended, 0 and empty if by wish."""

    state: str
    code: int = 0
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether this version ended in an error."""
        return self.state == END and self.code != 0


@dataclass(frozen=True, slots=True)
class ServerView:
    """What a server says of one model: its versions, and the version each label answers with.

    Of several servers: a version is AVAILABLE if it is on each; a label that does not answer with the same version on
    each is in ``mixed`` and not in ``labels``; ``missing`` are the addresses that do not answer; ``partly`` are the
    versions that are AVAILABLE on some and not on all.
    """

    versions: Mapping[int, VersionView] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    mixed: Mapping[str, frozenset[int]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    partly: frozenset[int] = frozenset()

    def state(self, version: int) -> str:
        """Return the state of a version; a version the server never heard of is in state ``END``."""
        view = self.versions.get(version)
        return END if view is None else view.state

    def available(self, version: int) -> bool:
        """Whether this version answers requests."""
        return self.state(version) == AVAILABLE

    def answers(self, version: int) -> bool:
        """Whether any server answers requests with this version."""
        return self.available(version) or version in self.partly

    def reached(self, label: str) -> frozenset[int]:
        """Return the versions that a label answers with, several only where servers disagree."""
        if label in self.labels:
            return frozenset((self.labels[label],))
        return self.mixed.get(label, frozenset())


@dataclass(frozen=True, slots=True)
class Split:
    """How requests are shared out, in percent by label.

    ``weights`` sum to 100; ``copies`` say how many requests are also sent to a label, to be compared and dropped.
    """

    weights: Mapping[str, float]
    copies: Mapping[str, float] = field(default_factory=dict)

    def touches(self, label: str) -> bool:
        """Whether a label gets any request."""
        return self.weights.get(label, 0.0) > 0.0 or self.copies.get(label, 0.0) > 0.0


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What one gate says of one step, with its reason in one line."""

    gate: str
    verdict: Verdict
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome of a preflight or smoke check.

    ``reason`` is one line, ``notes`` are worth showing either way; ``retriable`` when a failure says nothing of the
    model, such as a server that is too busy to answer.
    """

    ok: bool
    reason: str = ""
    notes: tuple[str, ...] = ()
    retriable: bool = False


@dataclass(frozen=True, slots=True)
class StepView:
    """What gates look at: the step's canary and stable requests in one window.

    ``baseline`` is the window of ``stable`` to compare with: that of this step, or where ``stable`` has next to no
    requests left, what it was like at its slowest in the steps before. ``seconds``: how long the window is.
    ``memory``: bytes that the server's process used before the first step and uses now, ``None`` where unknown.
    """

    model: str
    version: int
    label: str
    weight: float
    canary: WindowSummary
    stable: WindowSummary
    baseline: WindowSummary
    seconds: float = 0.0
    memory: tuple[int, int] | None = None


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


class Traffic(Protocol):
    """The split that consumers of one model follow."""

    def read(self) -> Split | None:
        """Return the split, or ``None`` when nothing is recorded."""

    def write(self, split: Split) -> None:
        """Replace the split at once."""


class Checks(Protocol):
    """What needs the model's files."""

    def preflight(self, plan: Plan) -> CheckResult:
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


class Gate(Protocol):
    """One judgement after each step."""

    @property
    def name(self) -> str:
        """The gate's name in reports."""

    def judge(self, step: StepView) -> GateVerdict:
        """Judge one step; a source of numbers that does not answer is ``TOO_FEW``, never ``PASS``."""


class Requests(Protocol):
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
