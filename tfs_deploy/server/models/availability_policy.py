# SPDX-License-Identifier: Apache-2.0
"""What the manager does next with the versions of a model: pure decisions (core/availability_preserving_policy.cc)."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass


class Phase(enum.Enum):
    """How far the manager is with one version (core/loader_harness.h, reduced to what decisions need)."""

    NEW = "new"
    BUSY = "busy"
    READY = "ready"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One managed version, for a decision."""

    version: int
    phase: Phase
    aspired: bool


@dataclass(frozen=True, slots=True)
class Action:
    """Load or unload one version."""

    load: bool
    version: int


def next_action(versions: Iterable[Snapshot]) -> Action | None:
    """Return what to do next for one model, so that it stays available.

    An unaspired version goes once an aspired one is ready, or if none is aspired, or while another unaspired one
    still serves (lowest first). Otherwise the highest new aspired version is loaded.
    """
    snapshots = list(versions)
    aspired = [snapshot for snapshot in snapshots if snapshot.aspired]
    leaving = [snapshot.version for snapshot in snapshots if not snapshot.aspired and snapshot.phase is Phase.READY]
    replaced = not aspired or any(snapshot.phase is Phase.READY for snapshot in aspired)
    if leaving and (replaced or len(leaving) > 1):
        return Action(load=False, version=min(leaving))
    new = [snapshot.version for snapshot in aspired if snapshot.phase is Phase.NEW]
    return Action(load=True, version=max(new)) if new else None
