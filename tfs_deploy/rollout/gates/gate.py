# SPDX-License-Identifier: Apache-2.0
"""What a gate is, what it sees of a step (``StepView``) and what it answers (``GateVerdict``)."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tfs_deploy.rollout.gates.request_stats import WindowSummary


#: the name of the verdict on a canary without requests, which no gate gives
TRAFFIC: Final = "traffic"


class Verdict(enum.Enum):
    """The verdict of a gate on a step.

    ``TOO_FEW`` makes the rollout wait for samples; ``NOT_JUDGED`` does not: the gate says why it has no judgement.
    """

    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    TOO_FEW = "too few samples"
    NOT_JUDGED = "not judged"


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """The verdict of one gate on one step, with its reason in one line.

    ``sparse``: it is ``TOO_FEW`` because consumers sent too few requests, not because a source did not answer. Such a
    verdict may pass where the caller chose that (``on_too_few="pass"``). ``remark``: what the rollout tells once,
    although the gate does not judge it.
    """

    gate: str
    verdict: Verdict
    reason: str = ""
    sparse: bool = False
    remark: str = ""

    @property
    def unseen(self) -> bool:
        """Whether it is that the canary got no request although it has to."""
        return self.gate == TRAFFIC and self.verdict is Verdict.TOO_FEW


@dataclass(frozen=True, slots=True)
class StepView:
    """What a gate sees: the requests of the step's canary and of stable in one window.

    ``baseline`` is the window of ``stable`` to compare with: that of this step, or, where ``stable`` has next to no
    requests left, its slowest window of the earlier steps. ``seconds``: how long the window is. ``memory``: the bytes
    that the server's process used before the first step and uses now, ``None`` where unknown.
    """

    model: str
    version: int
    label: str
    weight: float
    canary: WindowSummary
    stable: WindowSummary
    baseline: WindowSummary
    seconds: float = 0.0
    memory: tuple[int, int] | None = None


class Gate(Protocol):
    """One judgement of each step."""

    @property
    def name(self) -> str:
        """The gate's name in reports."""

    def judge(self, step: StepView) -> GateVerdict:
        """Judge one step; a source of numbers that does not answer is ``TOO_FEW``, never ``PASS``."""


def worst(verdicts: Iterable[GateVerdict]) -> Verdict:
    """Return the verdict of all gates together: one failure fails, else one with too few samples waits."""
    answers = {entry.verdict for entry in verdicts}
    for verdict in (Verdict.FAIL, Verdict.TOO_FEW):
        if verdict in answers:
            return verdict
    return Verdict.PASS


def too_few(gate: str, label: str, window: WindowSummary, needed: int) -> GateVerdict:
    """Return the verdict that says which requests are missing for a judgement."""
    if window.requests >= needed:
        return GateVerdict(gate, Verdict.TOO_FEW, f"no latencies of {label}")
    reason = f"not enough requests of {label} ({window.requests} of {needed})"
    return GateVerdict(gate, Verdict.TOO_FEW, reason, sparse=True)
