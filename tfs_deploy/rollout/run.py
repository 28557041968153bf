# SPDX-License-Identifier: Apache-2.0
"""``Rollout``: a new rollout of a deployment's model, or one that is resumed where its journal ends."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import UsageError
from tfs_deploy.host.machine import boot_id
from tfs_deploy.host.threads import in_thread
from tfs_deploy.rollout.adapters.preflight import judge_files
from tfs_deploy.rollout.adapters.recorded_requests import RecordedRequests
from tfs_deploy.rollout.adapters.server_side import ServerSide, open_server_side
from tfs_deploy.rollout.begin import (
    RecordedRollout,
    latest_rollout,
    new_plan,
    observe_served,
    previous_version,
    unfinished_error,
)
from tfs_deploy.rollout.controller.controller import Controller
from tfs_deploy.rollout.controller.journal import Journal
from tfs_deploy.rollout.machine.actions import Action, Finish, RolloutStatus, Wait
from tfs_deploy.rollout.machine.narration import Narrator, unseen_traffic
from tfs_deploy.rollout.machine.plan import current_names
from tfs_deploy.rollout.machine.preconditions import gates_of, option_values, steps_of, version_number
from tfs_deploy.rollout.machine.strategies import CANARY
from tfs_deploy.rollout.new_version import bring, require_new_trusted
from tfs_deploy.rollout.progress import ProgressWatch
from tfs_deploy.rollout.result import RolloutResult
from tfs_deploy.rollout.setup import Overrides, make_world, require_programs
from tfs_deploy.smoke.targets import find_model
from tfs_deploy.state.lock import HeldLock, lock, rollout_purpose
from tfs_deploy.state.mailbox import FileMailbox
from tfs_deploy.state.request_tallies import requests_dir, set_watched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from typing_extensions import Self

    from tfs_deploy.deployment import Deployment
    from tfs_deploy.rollout.check_result import CheckResult
    from tfs_deploy.rollout.controller.world import RequestSource
    from tfs_deploy.rollout.gates.spec import GateLike
    from tfs_deploy.rollout.machine.history import Event
    from tfs_deploy.rollout.machine.plan import RolloutPlan
    from tfs_deploy.rollout.machine.replica import Replica
    from tfs_deploy.rollout.progress import RolloutProgress
    from tfs_deploy.rollout.result import StepReport


class Rollout:
    """Moves ``model`` of a deployment to version ``to``, or resumes its unfinished rollout.

    Args:
        deployment: a ``Deployment``, or the path of its file; its server must be running.
        model: the model's name.
        to: the version to roll out, on disk or in the store of the model; ``None`` for the newest, or for that of an
            unfinished rollout.
        strategy: ``canary``, ``blue-green``, ``shadow`` or ``ab`` (see ``strategies``).
        steps: percent of traffic for the canary, rising to 100, or a text such as ``"5,50,100"``; none for a direct
            switch; ``None`` for the strategy's.
        bake: seconds for which each step is watched, or a text such as ``"5m"``, as for every time.
        gates: judges of each step beside the golden gate, which always judges: texts such as ``"p99=50ms"`` (see
            ``gates.registry``), in addition to the default gates, or gates as objects, which replace the default ones.
        requests: the source of numbers about real requests, for example a ``RequestStats``; ``None`` for what
            consumers record (``Router`` does), if there are any.
        wait_lock: seconds to wait for another process that is at work on the deployment.
        options: any other field of ``RolloutPlan``, such as ``keep_old=True`` or ``on_too_few="pause"``.

    An unfinished rollout keeps its plan. Only one process at a time can work on a deployment.
    """

    def __init__(
        self,
        deployment: Deployment | str | Path,
        model: str,
        to: int | None = None,
        *,
        strategy: str = CANARY,
        steps: Iterable[float] | str | None = None,
        bake: float | str = 10.0,
        gates: Sequence[GateLike | str] | None = None,
        requests: RequestSource | None = None,
        wait_lock: float = 0.0,
        **options: Any,
    ) -> None:
        self.deployment = load_deployment(deployment) if isinstance(deployment, str | Path) else deployment
        self.model = find_model(self.deployment, model)
        self.to = version_number(to)
        self.on_step: Callable[[StepReport], None] = lambda _step: None
        self.on_event: Callable[[str], None] = lambda _text: None
        specs, objects = gates_of(gates)
        percents = steps_of(strategy, steps)
        values = option_values({"bake": bake, **options})
        self._options = {"strategy": strategy, "steps": percents, "gates": specs, **values}
        self._own = Overrides(objects, requests)
        self._wait_lock = wait_lock
        self._go_back = False
        self._request = ""
        self._stack = contextlib.ExitStack()
        self._open: tuple[Controller, Journal, HeldLock] | None = None
        self._reports: dict[int, StepReport] = {}

    @classmethod
    def back(cls, deployment: Deployment | str | Path, model: str, to: int | None = None, **options: Any) -> Rollout:
        """Return the rollout that switches back to an earlier version at once, after its smoke test.

        ``to`` is by default the version that was stable before, else the next lower one on disk; right after a
        rollback it has to be named, else ``run`` raises ``UsageError``. An unfinished rollback is resumed.
        """
        flags = ("allow_missing_goldens", "allow_missing_warmup", "allow_breaking", "ignore_memory", "ignore_lint")
        lenient = dict.fromkeys(flags, True)
        rollout = cls(deployment, model, to, steps=(), back=True, **{**lenient, **current_names(options)})
        rollout._go_back = True
        return rollout

    @classmethod
    def abort(cls, deployment: Deployment | str | Path, model: str, **options: Any) -> Rollout:
        """Return the unfinished rollout of a model, which ``run`` rolls back to the old version."""
        rollout = cls(deployment, model, **options)
        rollout._request = "abort"
        return rollout

    @classmethod
    def promote(
        cls, deployment: Deployment | str | Path, model: str, *, skip_steps: bool = False, **options: Any
    ) -> Rollout:
        """Return the unfinished rollout of a model with its promotion approved.

        ``skip_steps``: also skip the traffic steps that it has not passed yet.
        """
        rollout = cls(deployment, model, **options)
        rollout._request = "promote-now" if skip_steps else "promote"
        return rollout

    def run(
        self,
        *,
        on_step: Callable[[StepReport], None] | None = None,
        on_event: Callable[[str], None] | None = None,
        on_wait: Callable[[RolloutProgress], None] | None = None,
        check: bool = True,
    ) -> RolloutResult:
        """Run the rollout to its end and return how it ended.

        ``on_step`` gets each step's report, ``on_event`` one line for everything that happens, ``on_wait`` how it
        stands whenever it waits, several times a second. An interrupt leaves everything as it is, to be resumed or
        aborted.

        Raises:
            VerdictError: the rollout was rolled back or paused; not with ``check=False``.
            UsageError, ModelError: there is no such version, or another rollout is unfinished; nothing was touched.
            LockedError: another process is at work on the deployment.
            EnvironmentFault, StatusError: the server does not answer at the start, the journal cannot be written.
        """
        self.on_step = on_step or self.on_step
        self.on_event = on_event or self.on_event
        with self:
            progress = ProgressWatch(self._opened[0])
            while not isinstance(action := self.tick(), Finish):
                if isinstance(action, Wait):
                    if on_wait is not None:
                        on_wait(progress.of(action))
                    self._own.clock.sleep(action.seconds)
            result = self.result
        if check:
            result.check()
        return result

    async def run_async(
        self,
        *,
        on_step: Callable[[StepReport], None] | None = None,
        on_event: Callable[[str], None] | None = None,
        on_wait: Callable[[RolloutProgress], None] | None = None,
        check: bool = True,
    ) -> RolloutResult:
        """Run the rollout as ``run`` does, beside an event loop; the functions are called from other threads.

        Cancelled, it ends after the action in progress and leaves everything as it is, to be resumed or aborted.
        """
        self.on_step = on_step or self.on_step
        self.on_event = on_event or self.on_event
        try:
            await in_thread(self.__enter__)
            progress = ProgressWatch(self._opened[0])
            while not isinstance(action := await in_thread(self.tick), Finish):
                if isinstance(action, Wait):
                    if on_wait is not None:
                        on_wait(progress.of(action))
                    await asyncio.sleep(action.seconds)
            result = await in_thread(lambda: self.result)
        finally:
            if self._open is not None:
                await in_thread(lambda: self.__exit__(None, None, None))
        if check:
            result.check()
        return result

    def preview(self) -> RolloutPlan:
        """Return the plan that ``run`` would begin with; queries the server and changes nothing.

        Raises ``UsageError`` or ``ModelError`` for a plan that cannot be carried out, ``StatusError`` when the server
        does not answer.
        """
        with self._new_side() as side:
            return self._new_plan(side)

    def examine(self) -> tuple[RolloutPlan, CheckResult]:
        """Return the plan that ``run`` would begin with, and what its preflight finds now; changes nothing.

        Raises what ``preview`` raises. A version that is only in the store is not judged: a note says so.
        """
        with self._new_side() as side:
            plan = self._new_plan(side)
            return plan, judge_files(self.deployment, self.model, self.model.base_path, plan, side.process.room())

    def tick(self) -> Action:
        """Do the next action, inside ``with rollout:``; ``Wait`` asks the caller to wait, ``Finish`` is the end.

        Raises ``LockedError`` if the lock was released by force.
        """
        controller, _, held = self._opened
        held.check()
        return controller.tick()

    @property
    def plan(self) -> RolloutPlan:
        """The plan in force, inside ``with rollout:``."""
        return self._opened[0].plan

    @property
    def result(self) -> RolloutResult:
        """How the rollout stands, inside ``with rollout:``."""
        controller, journal, _ = self._opened
        result = RolloutResult.from_events(controller.plan, journal.read())
        steps = tuple(self._reports.get(step.number, step) for step in result.steps)
        return dataclasses.replace(result, steps=steps)

    def __enter__(self) -> Self:
        purpose = rollout_purpose(self.model.name)
        with contextlib.ExitStack() as stack:
            held = stack.enter_context(
                lock(
                    self.deployment.state_dir,
                    purpose,
                    wait=self._wait_lock,
                    on_wait=self._tell,
                    option="" if self._wait_lock else "--wait-lock",
                )
            )
            self._reports.clear()
            self._open = (*self._begin(stack), held)
            self._watch(watched=True)
            self._stack = stack.pop_all()
        return self

    def _watch(self, *, watched: bool) -> None:
        """Let consumers record all their requests while the rollout is unfinished."""
        try:
            set_watched(requests_dir(self.deployment.state_dir, self.model.name), watched=watched)
        except OSError as error:  # a full disk must not hold up a rollback
            self._tell(f"requests outside the steps are not counted: {error}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._opened[0].history.finished in (RolloutStatus.DONE, RolloutStatus.ROLLED_BACK):
            self._watch(watched=False)
        self._open = None
        self._stack.close()

    @property
    def _opened(self) -> tuple[Controller, Journal, HeldLock]:
        if self._open is None:
            raise UsageError("the rollout is not open", hint="use it inside `with rollout:`, or call run()")
        return self._open

    def _begin(self, stack: contextlib.ExitStack) -> tuple[Controller, Journal]:
        """Resume the unfinished rollout, or begin a new one."""
        state_dir, model = self.deployment.state_dir, self.model
        past = latest_rollout(state_dir, model.name, mono=self._own.clock.monotonic())
        mailbox = FileMailbox(state_dir, model.name)
        mailbox.clear()
        if past is not None and past.unfinished:
            self._require_same(past)
            side = stack.enter_context(self._server_side(past.plan.replicas, any_server=past.plan.any_server))
            controller = self._controller(past.plan, side, past.journal, stack)
            controller.history = past.history
            controller.record("resume", boot=boot_id())
            controller.counter.go_on(past.journal.read())
            if self._request:
                mailbox.post(self._request)
            return controller, past.journal
        if self._request:
            raise UsageError(f"{model.name} has no unfinished rollout", hint="rollout status shows the last one")
        side = stack.enter_context(self._new_side())
        plan = self._new_plan(side)
        bring(self.deployment, model, plan, self._tell)
        journal = Journal.create(state_dir, model.name)
        controller = self._controller(plan, side, journal, stack)
        controller.record("start", plan=plan.as_dict(), boot=boot_id())
        unseen = unseen_traffic(plan, RecordedRequests(state_dir, model.name).last_seen())
        if self._own.requests is None and unseen:
            controller.record("note", "traffic", text=unseen)
        return controller, journal

    def _new_side(self) -> AbstractContextManager[ServerSide]:
        return self._server_side(self._options.get("replicas", ()), any_server=bool(self._options.get("any_server")))

    def _server_side(self, replicas: Sequence[Replica], *, any_server: bool) -> AbstractContextManager[ServerSide]:
        return open_server_side(self.deployment, self.model.name, replicas, any_server=any_server)

    def _new_plan(self, side: ServerSide) -> RolloutPlan:
        served = observe_served(self.deployment, self.model, side.server, side.traffic)
        back = self._go_back and not self.to
        to = previous_version(self.deployment, self.model, served.stable) if back else self.to
        requests = RecordedRequests(self.deployment.state_dir, self.model.name)
        own = self._own.requests is not None
        found = {
            "recorded": not own and requests.has_consumers(),
            "require_traffic": own or requests.knows_consumers(),
            "directory": _here(),
        }
        plan = new_plan(self.model, to, served, {**found, **self._options})
        require_programs(plan)
        require_new_trusted(self.deployment, self.model, plan)
        return plan

    def _require_same(self, past: RecordedRollout) -> None:
        if self.to in (None, past.plan.new) and (past.plan.back or not self._go_back):
            return
        raise unfinished_error(self.deployment, past.plan, self.to)

    def _controller(
        self, plan: RolloutPlan, side: ServerSide, journal: Journal, stack: contextlib.ExitStack
    ) -> Controller:
        world = make_world(self.deployment, self.model, plan, side, journal, self._own, self._tell)
        stack.callback(world.hooks.close)
        stack.enter_context(journal.reserving())
        controller = Controller(plan, world)
        controller.on_event = functools.partial(self._tell_event, Narrator(plan))
        controller.on_step = self._tell_step
        return controller

    def _tell(self, text: str) -> None:
        self.on_event(text)

    def _tell_event(self, narrator: Narrator, event: Event) -> None:
        line = narrator.line(event)
        if line is not None:
            self.on_event(line)

    def _tell_step(self, report: StepReport) -> None:
        self._reports[report.number] = report
        self.on_step(report)


def _here() -> str:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return ""
