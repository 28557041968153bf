"""Which phase of a rollout an action belongs to: what hooks and reports are about. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.rollout.actions import (
    Action,
    Apply,
    Calm,
    Judge,
    Preflight,
    Prune,
    Smoke,
    Weigh,
    Withdraw,
)

if TYPE_CHECKING:
    from tfs_deploy.rollout.history import History

ROLLBACK: Final = "rollback"
#: all phases, in their order; ``step`` comes once for each traffic step
PHASES: Final = ("preflight", "load", "smoke", "label", "step", "promote", "settle", "retire", ROLLBACK)
_OF_PURPOSE: Final = {"isolate": ROLLBACK, "restore": ROLLBACK, "unload": ROLLBACK}


def phase_of(action: Action, past: History) -> str | None:
    """Return the phase that an action is part of, ``None`` for one that can happen in any."""
    if past.reason is not None or isinstance(action, Withdraw):
        return ROLLBACK
    if isinstance(action, Apply):
        return _OF_PURPOSE.get(action.purpose, action.purpose)
    if isinstance(action, Calm):
        return "settle" if "promote" in past.intended else "load"
    if isinstance(action, Weigh | Judge):
        return "step"
    if isinstance(action, Preflight | Smoke):
        return type(action).__name__.lower()
    return "retire" if isinstance(action, Prune) else None


def rank(phase: str, action: Action) -> tuple[int, int]:
    """Return where a phase stands in the order; a rollout that does something again does not enter a phase again."""
    step = action.step if isinstance(action, Weigh | Judge) else 0
    return PHASES.index(phase), step
