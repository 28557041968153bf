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
"""

from __future__ import annotations

from tfs_deploy.rollout.actions import Status
from tfs_deploy.rollout.gates import ErrorRateGate, GoldenGate, LatencyGate
from tfs_deploy.rollout.plan import Plan
from tfs_deploy.rollout.ports import CheckResult, GateVerdict, StepView, Verdict
from tfs_deploy.rollout.result import RolloutResult, StepReport
from tfs_deploy.rollout.run import Rollout
from tfs_deploy.rollout.stats import RequestStats, WindowSummary

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
