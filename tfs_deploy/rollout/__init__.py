# SPDX-License-Identifier: Apache-2.0
"""Rollouts: move traffic from one version to the next in steps, judge each step, go back when one fails.

::

    from tfs_deploy.rollout import ErrorRateGate, LatencyGate, RequestStats, Rollout

    stats = RequestStats()                        # fed by the code that sends the requests:
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

Where is what::

    run               ``Rollout``; begin: the plan for what is served now; setup: the plan's world; result: the report
    machine/decide    what comes next, and what rolls a rollout back; withdraw: a rollback; plan, history: its inputs
    controller/       one tick: observe, decide, journal, act; world: what it needs, as protocols; judgement; hooks
    gates/            gate: what a gate sees; one file a gate; registry: all of them, from text to value to gate
    adapters/         the world for real: server_side, replicas (how they stay consistent), traffic, checks of versions

The lock is in ``tfs_deploy.state.lock``. The names are imported on first use, so that a command that only takes the
lock starts quickly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.lazy import lazy_names

if TYPE_CHECKING:
    from tfs_deploy.rollout.check_result import CheckResult as CheckResult
    from tfs_deploy.rollout.gates.errors import ErrorRateGate as ErrorRateGate
    from tfs_deploy.rollout.gates.gate import GateVerdict as GateVerdict
    from tfs_deploy.rollout.gates.gate import StepView as StepView
    from tfs_deploy.rollout.gates.gate import Verdict as Verdict
    from tfs_deploy.rollout.gates.golden import GoldenGate as GoldenGate
    from tfs_deploy.rollout.gates.latency import LatencyGate as LatencyGate
    from tfs_deploy.rollout.gates.request_stats import RequestStats as RequestStats
    from tfs_deploy.rollout.gates.request_stats import WindowSummary as WindowSummary
    from tfs_deploy.rollout.machine.actions import RolloutStatus as Status
    from tfs_deploy.rollout.machine.plan import RolloutPlan as Plan
    from tfs_deploy.rollout.result import RolloutResult as RolloutResult
    from tfs_deploy.rollout.result import StepReport as StepReport
    from tfs_deploy.rollout.run import Rollout as Rollout

#: public name -> its module, and its name there if that differs
_HOME = {
    "CheckResult": "check_result",
    "ErrorRateGate": "gates.errors",
    "GateVerdict": "gates.gate",
    "GoldenGate": "gates.golden",
    "LatencyGate": "gates.latency",
    "Plan": "machine.plan:RolloutPlan",
    "RequestStats": "gates.request_stats",
    "Rollout": "run",
    "RolloutResult": "result",
    "Status": "machine.actions:RolloutStatus",
    "StepReport": "result",
    "StepView": "gates.gate",
    "Verdict": "gates.gate",
    "WindowSummary": "gates.request_stats",
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

__getattr__, __dir__ = lazy_names(__name__, {name: f"{__name__}.{place}" for name, place in _HOME.items()}, __all__)
