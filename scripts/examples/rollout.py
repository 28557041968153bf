#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Roll a version out from a script of your own.   usage: rollout.py FILE MODEL [VERSION]

The class behind ``tfs-deploy rollout``: the same phases, gates and journal, with your code in between.
"""

from __future__ import annotations

import sys

from tfs_deploy.errors import TfsDeployError
from tfs_deploy.rollout import GateVerdict, Rollout, StepReport, StepView, Verdict


class PromptAnswers:
    """A gate of your own: anything with a name and ``judge``. Too few samples wait, they never pass."""

    name = "mean"

    def judge(self, step: StepView) -> GateVerdict:
        """Judge one step; ``step.canary`` and ``step.stable`` are what consumers recorded of it."""
        latency = step.canary.latency  # likewise: outcomes, from Router.outcome
        if latency is None or latency.count < 30:
            return GateVerdict(self.name, Verdict.TOO_FEW, f"{step.canary.requests} requests, 30 answers needed")
        verdict = Verdict.PASS if latency.mean <= 0.250 else Verdict.FAIL
        return GateVerdict(self.name, verdict, f"{latency.mean * 1000:.1f} ms on average, limit 250 ms")


def main(file: str, model: str, version: str | None = None) -> int:
    """Roll out, print a line for everything that happens, and return the exit code."""

    def on_step(step: StepReport) -> None:
        print(f"{step.weight:g} %: {step.requests} requests, {step.errors} failed: {step.verdict.value}")

    to = int(version) if version else None
    rollout = Rollout(file, model, to=to, steps=(25, 100), bake=1, gates=[PromptAnswers()])
    try:
        rollout.run(on_event=print, on_step=on_step)
    except TfsDeployError as error:  # rolled back or paused (1), mistakes (2), no server (3), locked (4)
        print(f"{error.message}\n{error.hint or ''}".strip(), file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
