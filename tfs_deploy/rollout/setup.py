"""What surrounds a rollout, set up from its plan: servers, gates, hooks, sources of numbers."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tfs_deploy.client import RestClient
from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.host.commands import require_program
from tfs_deploy.launch.client import client_for
from tfs_deploy.rollout.adapters.deployed_server import DeployedProcess, DeployedServer, SystemClock, TrafficFile
from tfs_deploy.rollout.adapters.recorded_requests import RecordedRequests
from tfs_deploy.rollout.adapters.replay import compare_labels, requests_at_hand, requests_in_file
from tfs_deploy.rollout.adapters.replicas import Fleet, Replica
from tfs_deploy.rollout.adapters.served_config import DeployedConfig
from tfs_deploy.rollout.adapters.version_checks import FileChecks
from tfs_deploy.rollout.controller.hooks import RolloutHooks
from tfs_deploy.rollout.controller.mailbox import FileMailbox
from tfs_deploy.rollout.controller.world import World
from tfs_deploy.rollout.gates.external import CommandGate
from tfs_deploy.rollout.gates.gates import GoldenGate, LatencyGate, default_gates
from tfs_deploy.rollout.gates.measures import DriftGate, MemoryGate
from tfs_deploy.rollout.gates.specs import Sources, gate_name, make_gate
from tfs_deploy.smoke.connect import Connections, addresses, connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tfs_deploy.client.protocols import Predictor
    from tfs_deploy.deployment import Deployment, Model
    from tfs_deploy.rollout.adapters.replay import Request
    from tfs_deploy.rollout.controller.world import EventLog
    from tfs_deploy.rollout.machine.observation import Gate, GateVerdict, ModelServer, Requests, StepView
    from tfs_deploy.rollout.machine.plan import Plan
    from tfs_deploy.rollout.machine.stats import Compared

#: requests that are replayed for the drift gate that is always there; one that was asked for replays more
_FEW = 20


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers of a rollout: one, or several that are ``replicas``; clients by address.

    ``rest_address`` is that of the only server.
    """

    server: ModelServer
    clients: Mapping[str, Connections]
    rest_address: str | None = None

    @property
    def members(self) -> dict[str, Mapping[str, Predictor]]:
        """The clients of each server by transport; the only server has no address in messages."""
        several = len(self.clients) > 1
        return {address if several else "": found.predictors for address, found in self.clients.items()}


@contextlib.contextmanager
def reach(deployment: Deployment, model: str, replicas: Sequence[str]) -> Iterator[Servers]:
    """Open the clients of a rollout: those of the deployment's own server, or of ``replicas`` (see ``Replica``)."""
    with contextlib.ExitStack() as stack:
        if not replicas:
            found = stack.enter_context(connect(deployment))
            yield Servers(DeployedServer(deployment, model, found.grpc), {"": found}, addresses(deployment)[1])
            return
        clients: dict[str, Connections] = {}
        for replica in map(Replica.parse, replicas):
            grpc = stack.enter_context(client_for(deployment, replica.grpc))
            rest = stack.enter_context(RestClient(replica.rest)) if replica.rest else None
            clients[replica.grpc] = Connections(grpc, rest)
        members = [DeployedServer(deployment, model, found.grpc, address) for address, found in clients.items()]
        fleet = Fleet(members, DeployedConfig(deployment, model))
        stack.callback(fleet.close)
        yield Servers(fleet, clients)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a caller brings along: gates and numbers of its own, ``None`` to set them up from the plan."""

    gates: Sequence[Gate] | None = None
    requests: Requests | None = None
    clock: SystemClock = field(default_factory=SystemClock)


def make_world(
    deployment: Deployment,
    model: Model,
    plan: Plan,
    servers: Servers,
    log: EventLog,
    own: Surroundings,
    on_trouble: Callable[[str], None],
) -> World:
    """Set up the world of a plan; raises ``UsageError`` for a gate, hook or file that cannot be used."""
    process = DeployedProcess(deployment, known=not plan.replicas)
    checks = FileChecks(deployment, model.name, model.base_path, servers.members, process.room)
    requests = own.requests
    if requests is None and plan.recorded:
        requests = RecordedRequests(deployment.state_dir, model.name)
    gates = own.gates
    if gates is None:
        replay = Replay(model, plan, servers)
        asked = plan_gates(plan, Sources(plan.min_samples, metrics_url(deployment, servers), replay, plan.directory))
        gates = [*asked, *_defaults(plan, process, requests, replay)]
    return World(
        server=servers.server,
        process=process,
        traffic=TrafficFile(deployment, model.name),
        checks=checks,
        gates=[GoldenGate(checks.golden), *gates],
        requests=requests,
        log=log,
        mailbox=FileMailbox(deployment.state_dir, model.name),
        clock=own.clock,
        hooks=RolloutHooks(plan.hooks, plan.notify, directory=plan.directory, on_trouble=on_trouble),
    )


class Replay:
    """Sends the requests at hand to two labels: those of the plan's file, else those recorded with both versions."""

    def __init__(self, model: Model, plan: Plan, servers: Servers, most: int | None = None) -> None:
        self._model = model
        self._plan = plan
        self._servers = servers
        self._most = most

    @functools.cached_property
    def requests(self) -> list[Request]:
        """The requests; raises ``UsageError`` for a file that holds none."""
        if self._plan.requests_file:
            return requests_in_file(Path(self._plan.requests_file))[: self._most]
        return requests_at_hand(self._model.base_path, (self._plan.old, self._plan.new))[: self._most]

    def first(self, count: int) -> Replay:
        """Return the same with ``count`` requests at most."""
        return Replay(self._model, self._plan, self._servers, count)

    def __call__(self, stable: str, canary: str) -> dict[str, Compared]:
        """Ask both labels of the first server and compare."""
        client = next(iter(self._servers.clients.values())).grpc
        return compare_labels(client, self._model.name, self.requests, stable, canary)


def plan_gates(plan: Plan, sources: Sources) -> list[Gate]:
    """Make the gates that a plan names; a name that comes twice gets a number. Raises ``UsageError``."""
    gates: list[Gate] = []
    for text in plan.gates:
        gate = make_gate(text, sources)
        if isinstance(gate, LatencyGate) and gate.max_ratio is not None and not plan.comparable:
            message = f"{text} compares with {plan.stable}, which gets no requests from the first step on"
            raise UsageError(message, hint=f"give a time ({gate.name}=50ms), or begin with a step below 100")
        same = sum(other.name.split()[0] == gate.name for other in gates)
        gates.append(Numbered(gate, f"{gate.name} {same + 1}") if same else gate)
    return gates


@dataclass(frozen=True, slots=True)
class Numbered:
    """A gate under another name."""

    gate: Gate
    name: str

    def judge(self, step: StepView) -> GateVerdict:
        """Judge as the gate does."""
        return dataclasses.replace(self.gate.judge(step), gate=self.name)


def metrics_url(deployment: Deployment, servers: Servers) -> str | None:
    """Return the address of the server's metrics page; of several servers that of none, for they count apart."""
    monitoring = deployment.monitoring
    if monitoring is None or not monitoring.prometheus or servers.rest_address is None:
        return None
    return f"http://{servers.rest_address}{monitoring.path}"


def _defaults(plan: Plan, process: DeployedProcess, requests: Requests | None, replay: Replay) -> list[Gate]:
    """Return the gates that need not be asked for: those whose numbers are at hand, unless one of that name was."""
    if not plan.default_gates:
        return []
    gates: list[Gate] = []
    if requests is not None:
        gates += default_gates(plan.min_samples, comparable=plan.comparable)
    if _measurable(process):
        gates.append(MemoryGate())
    few = replay.first(_FEW)
    if few.requests:
        gates.append(DriftGate(ask=few, stable=plan.stable))
    asked = {gate_name(text) for text in plan.gates}
    return [gate for gate in gates if gate.name not in asked]


def _measurable(process: DeployedProcess) -> bool:
    """Whether the process's memory can be told, even if not at this moment: then its gate waits for it."""
    try:
        return process.memory() is not None
    except EnvironmentFault:
        return True


def require_programs(plan: Plan) -> None:
    """Raise ``UsageError`` for a command of a gate or hook that cannot be run, which hours later would be worse."""
    RolloutHooks(plan.hooks, plan.notify, directory=plan.directory).require()
    for text in plan.gates:
        gate = make_gate(text, Sources(metrics_url="http://localhost", directory=plan.directory))
        if isinstance(gate, CommandGate):
            require_program(gate.command, plan.directory)
