"""``Rollout``: a rollout of a deployment's model, begun anew or taken up where its journal ends."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.actions import Action, Finish, Wait
from tfs_deploy.rollout.begin import Recorded, latest, look, new_plan, previous_version
from tfs_deploy.rollout.checks import FileChecks
from tfs_deploy.rollout.controller import Controller, World
from tfs_deploy.rollout.gates import GoldenGate, default_gates
from tfs_deploy.rollout.journal import Journal
from tfs_deploy.rollout.lock import lock
from tfs_deploy.rollout.mailbox import FileMailbox
from tfs_deploy.rollout.plan import DEFAULT_STEPS, Plan, check_steps
from tfs_deploy.rollout.result import RolloutResult
from tfs_deploy.rollout.wiring import DeployedProcess, DeployedServer, SystemClock, TrafficFile
from tfs_deploy.rollout.words import tell
from tfs_deploy.spec import load_deployment
from tfs_deploy.verify.connect import connect
from tfs_deploy.verify.deployment import find_model

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    from typing_extensions import Self

    from tfs_deploy.config import Deployment
    from tfs_deploy.rollout.history import Event
    from tfs_deploy.rollout.ports import Gate, Requests
    from tfs_deploy.rollout.result import StepReport
    from tfs_deploy.verify.connect import Connections


class Rollout:
    """Moves ``model`` of a deployment to version ``to``, or goes on with the rollout that was left unfinished.

    Args:
        deployment: a ``Deployment``, or the path of its file; its server has to be running.
        model: the model's name.
        to: the version to roll out; ``None`` for the newest on disk, or for that of an unfinished rollout.
        steps: percent of traffic for the canary, rising to 100; none for a direct switch.
        bake: seconds for which each step is watched.
        gates: judges of each step beside the golden gate, which always judges; ``None`` for ``default_gates()`` where
            ``requests`` are given, else none.
        requests: where the numbers about real requests come from, for example a ``RequestStats``.
        options: any other field of ``Plan``, such as ``keep_old=True`` or ``on_too_few="pause"``.

    An unfinished rollout keeps the plan it was begun with. Only one process at a time can work on a deployment.
    """

    def __init__(
        self,
        deployment: Deployment | str | Path,
        model: str,
        to: int | None = None,
        *,
        steps: Iterable[float] = DEFAULT_STEPS,
        bake: float = 10.0,
        gates: Sequence[Gate] | None = None,
        requests: Requests | None = None,
        **options: Any,
    ) -> None:
        self.deployment = load_deployment(deployment) if isinstance(deployment, str | Path) else deployment
        self.model = find_model(self.deployment, model)
        self.to = to
        self.on_step: Callable[[StepReport], None] = lambda _step: None
        self.on_event: Callable[[str], None] = lambda _text: None
        self._options = {"steps": check_steps(steps), "bake": float(bake), **options}
        self._gates = gates
        self._requests = requests
        self._go_back = False
        self._abort = False
        self._clock = SystemClock()
        self._stack = contextlib.ExitStack()
        self._open: tuple[Controller, Journal] | None = None
        self._reports: dict[int, StepReport] = {}

    @classmethod
    def back(cls, deployment: Deployment | str | Path, model: str, to: int | None = None, **options: Any) -> Rollout:
        """Return the rollout that switches back to an earlier version at once, after asking it for its answers.

        ``to`` is by default the version that was stable before, else the next lower one on disk.
        """
        rollout = cls(deployment, model, to, steps=(), **{"need_goldens": False, "allow_breaking": True, **options})
        rollout._go_back = True
        return rollout

    @classmethod
    def abort(cls, deployment: Deployment | str | Path, model: str) -> Rollout:
        """Return the unfinished rollout of a model, on its way back to the old version."""
        rollout = cls(deployment, model)
        rollout._abort = True
        return rollout

    def run(
        self,
        *,
        on_step: Callable[[StepReport], None] | None = None,
        on_event: Callable[[str], None] | None = None,
        check: bool = True,
    ) -> RolloutResult:
        """Carry the rollout through and return how it ended.

        ``on_step`` hears each step's verdict, ``on_event`` one line for everything that happens. An interrupt leaves
        everything as it stands, to be resumed or aborted.

        Raises:
            VerdictError: the rollout was rolled back or paused; not with ``check=False``.
            UsageError, ModelError: there is no such version, or another rollout is unfinished; nothing was touched.
            LockedError: another process is at work on the deployment.
            EnvironmentFault, StatusError: the server does not answer at the start, the journal cannot be written.
        """
        self.on_step = on_step or self.on_step
        self.on_event = on_event or self.on_event
        with self:
            while not isinstance(action := self.tick(), Finish):
                if isinstance(action, Wait):
                    self._clock.sleep(action.seconds)
            result = self.result
        if check:
            result.check()
        return result

    def tick(self) -> Action:
        """Do the next thing, inside ``with rollout:``; ``Wait`` asks the caller to wait, ``Finish`` is the end."""
        return self._opened[0].tick()

    @property
    def plan(self) -> Plan:
        """The plan that is carried out, inside ``with rollout:``."""
        return self._opened[0].plan

    @property
    def result(self) -> RolloutResult:
        """How the rollout stands, inside ``with rollout:``."""
        controller, journal = self._opened
        result = RolloutResult.from_events(controller.plan, journal.read())
        steps = tuple(self._reports.get(step.number, step) for step in result.steps)
        return dataclasses.replace(result, steps=steps)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            stack.enter_context(lock(self.deployment.state_dir, f"rollout of {self.model.name}"))
            connections = stack.enter_context(connect(self.deployment))
            self._reports.clear()
            self._open = self._begin(connections)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open = None
        self._stack.close()

    @property
    def _opened(self) -> tuple[Controller, Journal]:
        if self._open is None:
            raise UsageError("the rollout is not open", hint="use it inside `with rollout:`, or call run()")
        return self._open

    def _begin(self, connections: Connections) -> tuple[Controller, Journal]:
        """Take up the unfinished rollout, or begin a new one."""
        state_dir, model = self.deployment.state_dir, self.model
        past = latest(state_dir, model.name, mono=self._clock.monotonic())
        mailbox = FileMailbox(state_dir, model.name)
        mailbox.clear()
        if past is not None and past.unfinished:
            self._require_same(past)
            if self._abort:
                mailbox.post("abort")
            controller = self._controller(past.plan, connections, past.journal)
            controller.history = past.history
            controller.record("resume")
            return controller, past.journal
        if self._abort:
            raise UsageError(f"{model.name} has no unfinished rollout", hint="rollout status shows the last one")
        server = DeployedServer(self.deployment, model.name, connections.grpc)
        served = look(self.deployment, model, server, TrafficFile(self.deployment, model.name))
        to = previous_version(self.deployment, model, served.stable) if self._go_back and not self.to else self.to
        plan = new_plan(model, to, served, self._options)
        journal = Journal.create(state_dir, model.name)
        controller = self._controller(plan, connections, journal)
        controller.record("start", plan=plan.as_dict())
        return controller, journal

    def _require_same(self, past: Recorded) -> None:
        if self.to in (None, past.plan.new) and not self._go_back:
            return
        message = f"the rollout of {self.model.name} from version {past.plan.old} to {past.plan.new} is unfinished"
        raise UsageError(message, hint=f"tfs-deploy rollout resume {self.deployment.source}, or rollout abort")

    def _controller(self, plan: Plan, connections: Connections, journal: Journal) -> Controller:
        checks = FileChecks(self.model.name, self.model.base_path, connections.predictors)
        gates = self._gates
        if gates is None:
            gates = [] if self._requests is None else default_gates()
        world = World(
            server=DeployedServer(self.deployment, self.model.name, connections.grpc),
            process=DeployedProcess(self.deployment),
            traffic=TrafficFile(self.deployment, self.model.name),
            checks=checks,
            gates=[GoldenGate(checks.golden), *gates],
            requests=self._requests,
            log=journal,
            mailbox=FileMailbox(self.deployment.state_dir, self.model.name),
            clock=self._clock,
        )
        controller = Controller(plan, world)
        controller.on_event = functools.partial(self._tell_event, plan)
        controller.on_step = self._tell_step
        return controller

    def _tell_event(self, plan: Plan, event: Event) -> None:
        line = tell(event, plan)
        if line is not None:
            self.on_event(line)

    def _tell_step(self, report: StepReport) -> None:
        self._reports[report.number] = report
        self.on_step(report)
