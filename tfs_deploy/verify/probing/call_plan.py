# SPDX-License-Identifier: Apache-2.0
"""How many requests a signature is sent, by what one of them costs.

A model that takes a second for a row would otherwise be asked for a minute to say the same thing again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.verify.probing.prober import GRPC, LOCAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.prober import Prober

#: seconds that the requests of one signature may take altogether
BUDGET: Final = 8.0
#: a first call that takes longer is made again: it also optimises the graph, which later ones do not
_QUICK: Final = 0.25
#: how many times longer than the local model's the server's first call may take
_SLOWER: Final = 3.0


@dataclass(frozen=True, slots=True)
class CallPlan:
    """The requests for one signature.

    Attributes:
        cost: seconds for one row, once the graph is optimised.
        edges: also send edge values, and rows of zeros.
        repeats: how often a request is sent again, to see that its answer stays the same.
        alone: rows of a batch that are also sent alone.
        everywhere: send every request over every transport and to the local model, not just the first one.
    """

    cost: float = 0.0
    edges: bool = True
    repeats: int = 2
    alone: int = 3
    everywhere: bool = True

    def kept(self, cases: Sequence[Case]) -> list[Case]:
        """Return the requests to send: without edge values, the first, the widest and the recorded ones."""
        if self.edges or not cases:
            return list(cases)
        widest = max(cases, key=lambda case: case.rows or 0)
        return [case for case in cases if case is cases[0] or case is widest or case.golden is not None]

    def everywhere_of(self, cases: Sequence[Case]) -> list[Case]:
        """Return the requests that are also sent over REST and to the local model."""
        return list(cases if self.everywhere else cases[:1])

    def rows(self, cases: Sequence[Case], transports: int) -> int:
        """Return how many rows are sent altogether; ``transports``: of the server, the local model beside them."""
        kept = [max(case.rows or 1, 1) for case in self.kept(cases)]
        if not kept:
            return 0
        everywhere = sum(kept) if self.everywhere else kept[0]
        return sum(kept) + everywhere * transports + self.repeats * self.repeated(kept) + self.alone + 1

    def repeated(self, rows: Sequence[int]) -> int:
        """Return the rows of the request that is sent again: the widest one, or the first one of a costly model."""
        return max(rows) if self.everywhere else rows[0]

    @property
    def why(self) -> str:
        """Why a request is not sent."""
        return f"not sent, since one row takes {self.cost:.1f} s"


#: from the most thorough to the quickest
LEVELS: Final = (
    CallPlan(),
    CallPlan(edges=False, repeats=1, alone=2),
    CallPlan(edges=False, repeats=1, alone=1, everywhere=False),
)


def plan_calls(cost: float, cases: Sequence[Case], transports: int) -> CallPlan:
    """Return the most thorough plan that fits the budget, else the quickest; ``cost``: seconds for one row."""
    fitting = (level for level in LEVELS if level.rows(cases, transports) * cost <= BUDGET)
    level = next(fitting, LEVELS[-1])
    return CallPlan(cost, level.edges, level.repeats, level.alone, level.everywhere)


def _patience(prober: Prober, first: Case) -> float:
    """Return the timeout of the server's first call, by how long the local model needed for its own."""
    local = prober.answers.get((first.signature, first.name, LOCAL))
    if local is None:
        return prober.timeout if prober.hangs(first.signature, LOCAL) else prober.first_timeout
    return max(prober.timeout, _SLOWER * local.seconds)


def measured_cost(prober: Prober, cases: Sequence[Case]) -> float:
    """Send the first request and return the seconds that a row of it takes; 0 if it is not answered."""
    if not cases:
        return 0.0
    first = cases[0]
    answer = prober.probe(first, GRPC, timeout=_patience(prober, first))
    seconds = answer.seconds
    if answer.ok and seconds > _QUICK:
        again = prober.repeat(first)
        seconds = min(seconds, again.seconds) if again.ok else seconds
    return seconds / max(first.rows or 1, 1) if answer.ok else 0.0
