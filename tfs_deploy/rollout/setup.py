# SPDX-License-Identifier: Apache-2.0
"""Sets up a rollout from its plan: the controller's world with its gates, hooks and sources of numbers."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.host.commands import require_program
from tfs_deploy.rollout.adapters.deployed_server import SystemClock
from tfs_deploy.rollout.adapters.recorded_requests import RecordedRequests
from tfs_deploy.rollout.adapters.replay import Replay
from tfs_deploy.rollout.adapters.version_checks import VersionChecks
from tfs_deploy.rollout.controller.hooks import RolloutHooks
from tfs_deploy.rollout.controller.world import World
from tfs_deploy.rollout.gates.drift import DriftGate
from tfs_deploy.rollout.gates.golden import GoldenGate
from tfs_deploy.rollout.gates.memory import MemoryGate
from tfs_deploy.rollout.gates.registry import default_gates, make_gate
from tfs_deploy.rollout.gates.spec import GateSources
from tfs_deploy.rollout.web_access import WebAccess
from tfs_deploy.state.mailbox import FileMailbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfs_deploy.deployment import Deployment, Model
    from tfs_deploy.rollout.adapters.server_side import ServerSide
    from tfs_deploy.rollout.controller.world import EventLog, RequestSource, ServerProcess
    from tfs_deploy.rollout.gates.gate import Gate, GateVerdict, StepView
    from tfs_deploy.rollout.machine.plan import RolloutPlan

#: requests that are replayed for the default drift gate; one that the caller asked for replays more
_FEW = 20


@dataclass(frozen=True, slots=True)
class Overrides:
    """Gates and numbers that a caller brings along; what is ``None`` is set up from the plan."""

    gates: Sequence[Gate] | None = None
    requests: RequestSource | None = None
    clock: SystemClock = field(default_factory=SystemClock)


def make_world(
    deployment: Deployment,
    model: Model,
    plan: RolloutPlan,
    side: ServerSide,
    log: EventLog,
    own: Overrides,
    on_trouble: Callable[[str], None],
) -> World:
    """Return the world of a plan; raises ``UsageError`` for a gate, hook or file that cannot be used."""
    checks = VersionChecks(deployment, model.name, model.base_path, side.members, side.process.room)
    requests = own.requests or RecordedRequests(deployment.state_dir, model.name)
    gates = own.gates
    if gates is None:
        replay = Replay(side.first_client, model, (plan.old, plan.new), plan.requests_file)
        access = WebAccess(plan.gate_headers, plan.gate_ca)
        sources = GateSources(plan.min_samples, side.metrics_url, replay, plan.directory, access)
        live = own.requests is not None or plan.recorded or plan.require_traffic
        gates = [*plan_gates(plan, sources), *_defaults(plan, side.process, replay, live=live)]
    return World(
        server=side.server,
        process=side.process,
        traffic=side.traffic,
        checks=checks,
        gates=[GoldenGate(checks.golden), *gates],
        requests=requests,
        log=log,
        mailbox=FileMailbox(deployment.state_dir, model.name),
        clock=own.clock,
        hooks=RolloutHooks(plan.hooks, plan.notify, directory=plan.directory, on_trouble=on_trouble),
    )


def plan_gates(plan: RolloutPlan, sources: GateSources) -> list[Gate]:
    """Return the gates that a plan asks for; a name that comes twice gets a number. Raises ``UsageError``."""
    gates: list[Gate] = []
    for spec in plan.gates:
        gate = make_gate(spec, sources)
        if spec.relative and not plan.comparable:
            message = f"{spec} compares with {plan.stable}, which gets no requests from the first step on"
            raise UsageError(message, hint=f"give a time ({gate.name}=50ms), or begin with a step below 100")
        same = sum(other.name.split()[0] == gate.name for other in gates)
        gates.append(_Numbered(gate, f"{gate.name} {same + 1}") if same else gate)
    return gates


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A gate under another name."""

    gate: Gate
    name: str

    def judge(self, step: StepView) -> GateVerdict:
        """Judge as the gate does."""
        return dataclasses.replace(self.gate.judge(step), gate=self.name)


def _defaults(plan: RolloutPlan, process: ServerProcess, replay: Replay, *, live: bool) -> list[Gate]:
    """Return the default gates: those whose numbers are at hand, unless the plan has one of that name.

    ``live``: there are requests to judge.
    """
    if not plan.default_gates:
        return []
    gates: list[Gate] = []
    if live:
        gates += default_gates(plan.min_samples, comparable=plan.comparable)
    if _measurable(process):
        gates.append(MemoryGate())
    few = replay.first(_FEW)
    if few.requests:
        gates.append(DriftGate(ask=few, stable=plan.stable))
    asked = {spec.kind for spec in plan.gates}
    return [gate for gate in gates if gate.name not in asked]


def _measurable(process: ServerProcess) -> bool:
    """Whether the process's memory can be read, even if not at this moment: then its gate waits for it."""
    try:
        return process.memory() is not None
    except EnvironmentFault:
        return True


def require_programs(plan: RolloutPlan) -> None:
    """Raise ``UsageError`` for a command or header of a gate or hook that cannot be used, rather than hours later."""
    RolloutHooks(plan.hooks, plan.notify, directory=plan.directory).require()
    WebAccess(plan.gate_headers, plan.gate_ca).check()
    for spec in plan.gates:
        if spec.command is not None:
            require_program(spec.command, plan.directory)
