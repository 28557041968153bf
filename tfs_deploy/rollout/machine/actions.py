# SPDX-License-Identifier: Apache-2.0
"""What a rollout can do in one tick; ``decide`` returns one of these and the controller carries it out."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping


class RolloutStatus(enum.Enum):
    """How a rollout stands or ended."""

    RUNNING = "running"
    DONE = "done"
    ROLLED_BACK = "rolled back"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Wait:
    """Let ``seconds`` pass; the only action that the journal does not hold."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Preflight:
    """Check the new version's files before anything is touched."""


@dataclass(frozen=True, slots=True)
class Apply:
    """Ask the server for exactly ``versions`` and ``labels``.

    ``purpose``: ``load``, ``label``, ``promote``, ``retire`` on the way forward; ``isolate`` (point the canary label at
    the old version), ``restore`` (load the old version again), ``unload`` (the new version) during a rollback.
    """

    purpose: str
    versions: tuple[int, ...]
    labels: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Smoke:
    """Send the recorded requests to the new version by number, before any label points at it."""

    version: int


@dataclass(frozen=True, slots=True)
class SetTraffic:
    """Set the traffic of a step, counted from 0: the percents of requests and of copies by label."""

    step: int
    weights: Mapping[str, float]
    copies: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RestoreTraffic:
    """Give stable the canary's traffic back."""

    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Rescue:
    """Send the requests of a stable version that cannot come back to the canary, which serves."""

    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Approve:
    """Record that a person approved the promotion; with ``skip``, also without the remaining steps."""

    skip: bool = False


@dataclass(frozen=True, slots=True)
class Prune:
    """Remove all but the ``keep`` newest versions from the disk."""

    keep: int


@dataclass(frozen=True, slots=True)
class Judge:
    """Ask all gates about a step; only a ``final`` judgement lets the rollout go on.

    ``lenient``: a gate with too few requests is not judged, instead of waited for.
    """

    step: int
    final: bool
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Decide to roll back; from here on nothing leads to the promotion any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class RestartServer:
    """Start the server's process again from its files, after it ended unexpectedly."""


@dataclass(frozen=True, slots=True)
class Finish:
    """End the rollout, or pause it; ``refused``: preflight ended it, and nothing was changed."""

    status: RolloutStatus
    reason: str = ""
    refused: bool = False


Action: TypeAlias = (
    Wait
    | Preflight
    | Apply
    | Smoke
    | SetTraffic
    | RestoreTraffic
    | Rescue
    | Judge
    | Approve
    | Prune
    | Withdraw
    | RestartServer
    | Finish
)

#: names in the journal that differ from the class: files on disk keep theirs
_NAMES: Final[dict[type, str]] = {SetTraffic: "weigh", RestoreTraffic: "calm", RestartServer: "revive"}


#: the same names in messages, where they are not words that people use
_TEXTS: Final = {
    **dict.fromkeys(("weigh", "rescue"), "traffic change"),
    "calm": "traffic restore",
    "revive": "server restart",
}


def action_name(action: Action) -> str:
    """Return the journal's name of an action: the purpose of an ``Apply``, else its class in lower case."""
    if isinstance(action, Apply):
        return action.purpose
    return _NAMES.get(type(action), type(action).__name__.lower())


def action_text(name: str) -> str:
    """Return the journal's name of an action as messages show it."""
    return _TEXTS.get(name, name)
