"""What a rollout can do in one tick; ``decide`` returns one of these and the controller carries it out."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping


class Status(enum.Enum):
    """How a rollout stands or ended."""

    RUNNING = "running"
    DONE = "done"
    ROLLED_BACK = "rolled back"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Wait:
    """Let ``seconds`` pass; the only action that is not journaled."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Preflight:
    """Judge the new version's files before anything is touched."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Make exactly ``versions`` wanted and ``labels`` set.

    ``purpose``: ``load``, ``label``, ``promote``, ``retire`` on the way forward; ``isolate`` (canary answers with
    the old version at once), ``restore`` (load the old version again), ``unload`` (of the new one) on the way back.
    """

    purpose: str
    versions: tuple[int, ...]
    labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Smoke:
    """Ask the new version by number, before any label points at it."""

    version: int


@dataclass(frozen=True, slots=True)
class Weigh:
    """Set the traffic of a step, counted from 0: percents by label, of requests and of copies."""

    step: int
    weights: Mapping[str, float]
    copies: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Calm:
    """Send all of the canary's traffic to stable again."""

    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Approve:
    """Take down that a human said yes; with ``skip`` to the steps that are left, too."""

    skip: bool = False


@dataclass(frozen=True, slots=True)
class Prune:
    """Remove all but the ``keep`` newest versions from the disk."""

    keep: int


@dataclass(frozen=True, slots=True)
class Judge:
    """Ask all gates about a step; only the verdict of a ``final`` one lets the rollout go on."""

    step: int
    final: bool


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Decide to go back; from here on nothing leads to promotion any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Revive:
    """Start the server's process again, from the files; it has ended without being asked."""


@dataclass(frozen=True, slots=True)
class Finish:
    """Nothing is left to do."""

    status: Status
    reason: str = ""


Action: TypeAlias = (
    Wait | Preflight | Apply | Smoke | Weigh | Calm | Judge | Approve | Prune | Withdraw | Revive | Finish
)


def action_name(action: Action) -> str:
    """Return the journal's name of an action: the purpose of an ``Apply``, else its class in lower case."""
    return action.purpose if isinstance(action, Apply) else type(action).__name__.lower()
