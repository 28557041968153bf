# SPDX-License-Identifier: Apache-2.0
"""The phases of a rollout, by which hooks and reports are named. Pure."""

from __future__ import annotations

from typing import Final

ROLLBACK: Final = "rollback"
#: all phases, in their order; ``step`` comes once for each traffic step
PHASES: Final = ("preflight", "load", "smoke", "label", "step", "promote", "settle", "retire", ROLLBACK)
_OF_ACTION: Final = {
    **{name: name for name in ("preflight", "load", "smoke", "label", "promote", "retire")},
    "weigh": "step",
    "judge": "step",
    "prune": "retire",
    **dict.fromkeys(("withdraw", "isolate", "restore", "unload"), ROLLBACK),
}


def phase_of(action: str, *, going_back: bool, promoting: bool) -> str | None:
    """Return the phase of an action (see ``actions.action_name``), ``None`` for one that fits any phase.

    ``going_back``: the new version has been withdrawn; ``promoting``: the promotion has begun.
    """
    if going_back:
        return ROLLBACK
    if action == "calm":
        return "settle" if promoting else "load"
    return _OF_ACTION.get(action)
