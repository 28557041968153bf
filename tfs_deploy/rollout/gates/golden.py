# SPDX-License-Identifier: Apache-2.0
"""The gate that always judges: the answers recorded at export, requested through the canary label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfs_deploy.rollout.gates.gate import GateVerdict, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.rollout.check_result import CheckResult
    from tfs_deploy.rollout.gates.gate import StepView


@dataclass(frozen=True, slots=True)
class GoldenGate:
    """Compares the canary's answers with those recorded at export.

    ``ask`` sends the recorded requests to a label and checks that this version answers as recorded.
    """

    ask: Callable[[str, int], CheckResult]
    name: str = "golden"

    def judge(self, step: StepView) -> GateVerdict:
        """Compare the answers of the canary label with the recorded ones."""
        result = self.ask(step.label, step.version)
        if not result.ok and result.retriable:
            return GateVerdict(self.name, Verdict.TOO_FEW, result.reason)
        return GateVerdict(self.name, Verdict.PASS if result.ok else Verdict.FAIL, result.reason)
