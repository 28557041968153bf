# SPDX-License-Identifier: Apache-2.0
"""How a rollout stands while it waits: for people who watch it live."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.rollout.gates.request_stats import RequestCount

if TYPE_CHECKING:
    from tfs_deploy.rollout.controller.controller import Controller
    from tfs_deploy.rollout.machine.actions import Wait

#: seconds between two looks at the requests
_EVERY: Final = 1.0
NONE: Final = RequestCount()


@dataclass(frozen=True, slots=True)
class RolloutProgress:
    """What a rollout waits for (``why``), and in a step: which of how many, the canary's percent, its requests.

    ``canary`` and ``others`` are counted since the step began, ``left`` are the seconds until its bake ends, 0 while it
    waits for samples; ``None`` outside a step.
    """

    why: str
    step: int = 0
    steps: int = 0
    weight: float = 0.0
    canary: RequestCount = NONE
    others: RequestCount = NONE
    left: float | None = None


class ProgressWatch:
    """Looks at a controller's step, at its requests once a second."""

    def __init__(self, controller: Controller) -> None:
        self._controller = controller
        self._looked = float("-inf")
        self._counts = RequestCount(), RequestCount()

    def of(self, wait: Wait) -> RolloutProgress:
        """Return how the rollout stands while it waits."""
        plan, past = self._controller.plan, self._controller.history
        if past.phase != "step" or past.passed >= len(plan.steps) or past.step != past.passed:
            return RolloutProgress(wait.why)
        now = self._controller.world.clock.monotonic()
        if now - self._looked >= _EVERY:
            self._looked, self._counts = now, self._count(past.step_at, now)
        left = max(0.0, past.step_at + plan.bake - now)
        return RolloutProgress(wait.why, past.step + 1, len(plan.steps), plan.steps[past.step], *self._counts, left)

    def _count(self, start: float, end: float) -> tuple[RequestCount, RequestCount]:
        requests, canary = self._controller.world.requests, self._controller.plan.canary
        if requests is None:
            return self._counts
        try:
            found = {label: window.count for label, window in requests.window(start, end).items()}
        except Exception:  # noqa: BLE001 - a caller's source; the gates report it
            return self._counts
        own = found.pop(canary, RequestCount())
        return own, sum(found.values(), RequestCount())
