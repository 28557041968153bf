"""Rollouts: move traffic from one version to the next in steps, judge each step, go back when one fails.

::

    from tfs_deploy.rollout import ErrorRateGate, LatencyGate, RequestStats, Rollout

    stats = RequestStats()                        # fed by whoever sends the requests:
    stats.record("canary", 0.0021)                #   label, seconds, error=False
    rollout = Rollout(
        deployment,                               # a Deployment, or the path of its file
        "digits",
        to=2,
        steps=(5, 25, 50, 100),                   # percent of traffic for the canary
        bake=3.0,                                 # seconds in each step
        requests=stats,                           # None: only the golden gate judges
        gates=None,                               # None: errors, p50, p99; else what judges beside the golden gate
    )
    result = rollout.run(                         # RolloutResult: done, status.value, reason, steps, notes
        on_step=lambda step: ...,                 # StepReport, after each step's verdict
        on_event=lambda text: ...,                # one line for people, for everything that happens
        check=False,                              # True (default): raise VerdictError unless the rollout is done
    )

``StepReport``: number, weight, seconds, start, end (``time.monotonic()``), requests, errors, verdict, verdicts
(``GateVerdict``: gate, verdict, reason) and windows by label (``WindowSummary``: requests, errors, p50, p90, p99 in
seconds). A gate is anything with a ``name`` and ``judge(StepView) -> GateVerdict``; its three answers are
``Verdict.PASS``, ``FAIL`` and ``TOO_FEW``.

The names are imported on first use, so that a command that only takes the deployment's lock starts quickly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfs_deploy.rollout.gates.gates import ErrorRateGate as ErrorRateGate
    from tfs_deploy.rollout.gates.gates import GoldenGate as GoldenGate
    from tfs_deploy.rollout.gates.gates import LatencyGate as LatencyGate
    from tfs_deploy.rollout.machine.actions import Status as Status
    from tfs_deploy.rollout.machine.observation import CheckResult as CheckResult
    from tfs_deploy.rollout.machine.observation import GateVerdict as GateVerdict
    from tfs_deploy.rollout.machine.observation import StepView as StepView
    from tfs_deploy.rollout.machine.observation import Verdict as Verdict
    from tfs_deploy.rollout.machine.plan import Plan as Plan
    from tfs_deploy.rollout.machine.stats import RequestStats as RequestStats
    from tfs_deploy.rollout.machine.stats import WindowSummary as WindowSummary
    from tfs_deploy.rollout.result import RolloutResult as RolloutResult
    from tfs_deploy.rollout.result import StepReport as StepReport
    from tfs_deploy.rollout.run import Rollout as Rollout

_HOME = {
    "CheckResult": "tfs_deploy.rollout.machine.observation",
    "ErrorRateGate": "tfs_deploy.rollout.gates.gates",
    "GateVerdict": "tfs_deploy.rollout.machine.observation",
    "GoldenGate": "tfs_deploy.rollout.gates.gates",
    "LatencyGate": "tfs_deploy.rollout.gates.gates",
    "Plan": "tfs_deploy.rollout.machine.plan",
    "RequestStats": "tfs_deploy.rollout.machine.stats",
    "Rollout": "tfs_deploy.rollout.run",
    "RolloutResult": "tfs_deploy.rollout.result",
    "Status": "tfs_deploy.rollout.machine.actions",
    "StepReport": "tfs_deploy.rollout.result",
    "StepView": "tfs_deploy.rollout.machine.observation",
    "Verdict": "tfs_deploy.rollout.machine.observation",
    "WindowSummary": "tfs_deploy.rollout.machine.stats",
}

__all__ = [
    "CheckResult",
    "ErrorRateGate",
    "GateVerdict",
    "GoldenGate",
    "LatencyGate",
    "Plan",
    "RequestStats",
    "Rollout",
    "RolloutResult",
    "Status",
    "StepReport",
    "StepView",
    "Verdict",
    "WindowSummary",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
