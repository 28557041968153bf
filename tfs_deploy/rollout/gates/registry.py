# SPDX-License-Identifier: Apache-2.0
"""All kinds of gates: a text becomes a ``GateSpec`` (``parse_gate``), a ``GateSpec`` becomes a gate (``make_gate``).

A new gate is a file in this folder with its class and its ``GateKind``, and a line in ``KINDS``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.gates.drift import AGREEMENT, DRIFT
from tfs_deploy.rollout.gates.errors import ERRORS, FINITE, ErrorRateGate, FiniteGate
from tfs_deploy.rollout.gates.external import COMMAND, PROMQL, URL, with_prometheus
from tfs_deploy.rollout.gates.latency import LATENCY, LatencyGate
from tfs_deploy.rollout.gates.memory import MEMORY
from tfs_deploy.rollout.gates.metrics_page import METRICS
from tfs_deploy.rollout.gates.spec import GateKind, GateSources, GateSpec
from tfs_deploy.text import did_you_mean

if TYPE_CHECKING:
    from tfs_deploy.rollout.gates.gate import Gate

KINDS: Final[tuple[GateKind, ...]] = (
    *(ERRORS, FINITE, LATENCY, MEMORY, DRIFT, AGREEMENT, METRICS),
    *(COMMAND, URL, PROMQL),
)
_BY_NAME: Final = {name: kind for kind in KINDS for name in kind.names}


def parse_gate(text: str, *, prometheus: str = "") -> GateSpec:
    """Read a gate's text; a ``promql`` gate without a server gets that of ``prometheus``.

    Raises ``UsageError`` that names what is wrong.
    """
    name, equals, setting = (part.strip() for part in text.partition("="))
    if not equals or not setting:
        hint = "write NAME=LIMIT, for example errors=1% or p99=50ms"
        raise UsageError(f"{text!r} is not a valid gate", hint=hint)
    if name not in _BY_NAME:
        hint = did_you_mean(name, list(_BY_NAME), otherwise=f"gates: {', '.join(_BY_NAME)}")
        raise UsageError(f"unknown gate: {name}", hint=hint)
    if prometheus and name in PROMQL.names:
        setting = with_prometheus(setting, prometheus)
        text = f"{name}={setting}"
    return GateSpec(name, _BY_NAME[name].read(name, setting), text)


def recorded_gate(text: str) -> GateSpec:
    """Read a gate's text in a journal; what only another program version can read fails when the gate is made."""
    try:
        return parse_gate(text)
    except UsageError:
        return GateSpec("", {}, text)


def make_gate(spec: GateSpec, sources: GateSources) -> Gate:
    """Make the gate of a value; raises ``UsageError`` where the deployment lacks what it needs."""
    known = spec if spec.kind else parse_gate(spec.text)
    return _BY_NAME[known.kind].make(known.options, sources)


def gate_usage() -> str:
    """Return a line for each way to write a gate, for ``--help``."""
    lines = []
    for example, meaning in (entry for kind in KINDS for entry in kind.usage):
        width = 24 if len(example) < 24 else 35
        lines.append(f"  {example:<{width}}{meaning}")
    return "\n".join(lines)


def default_gates(min_samples: int = 30, *, comparable: bool = True) -> list[Gate]:
    """Return the gates for live requests: 1 % errors, no NaN, the median within 2 x, p90 and p99 within 3 x of stable.

    The tail of a busy machine varies from window to window, hence its wider limits; a model that is slow as such shows
    in the median. The tail is judged where there are enough requests for it. Without requests of stable to compare with
    (``comparable``), latency is not judged.
    """
    alone: list[Gate] = [ErrorRateGate(min_samples=min_samples), FiniteGate(min_samples=min_samples)]
    if not comparable:
        return alone
    return [
        *alone,
        LatencyGate("p50", tolerance=0.002, min_samples=min_samples),
        LatencyGate("p90", max_ratio=3.0, tolerance=0.010, min_samples=min_samples, optional=True),
        LatencyGate("p99", max_ratio=3.0, tolerance=0.010, min_samples=min_samples, optional=True),
    ]
