"""The controller: one tick observes, decides, writes the intention, acts, writes the outcome."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

from tfs_deploy.errors import TfsDeployError, UnavailableError
from tfs_deploy.rollout.actions import (
    Action,
    Apply,
    Calm,
    Finish,
    Judge,
    Preflight,
    Revive,
    Smoke,
    Wait,
    Weigh,
    Withdraw,
    action_name,
)
from tfs_deploy.rollout.decide import Observation, decide
from tfs_deploy.rollout.history import Event, History
from tfs_deploy.rollout.judging import judge_step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfs_deploy.rollout.plan import Plan
    from tfs_deploy.rollout.ports import (
        CheckResult,
        Checks,
        Clock,
        Gate,
        ModelServer,
        Requests,
        ServerProcess,
        ServerView,
        Traffic,
    )
    from tfs_deploy.rollout.result import StepReport


class EventLog(Protocol):
    """Where entries are kept; an entry is safe when ``append`` returns."""

    def append(self, event: Event) -> None:
        """Add one entry."""


class Mailbox(Protocol):
    """Where other processes ask the running controller for something."""

    def read(self) -> str | None:
        """Return ``abort``, ``pause`` or ``None``."""

    def clear(self) -> None:
        """Forget the request: it has been met."""


@dataclass(frozen=True, slots=True)
class World:
    """Everything outside: what is observed and acted on."""

    server: ModelServer
    process: ServerProcess
    traffic: Traffic
    checks: Checks
    gates: Sequence[Gate]
    requests: Requests | None
    log: EventLog
    mailbox: Mailbox
    clock: Clock


class Controller:
    """Carries out one plan; ``on_event`` hears every entry of the journal, ``on_step`` every step's verdict."""

    def __init__(self, plan: Plan, world: World, history: History | None = None) -> None:
        self.plan = plan
        self.world = world
        self.history = history or History()
        self.on_event: Callable[[Event], None] = lambda _event: None
        self.on_step: Callable[[StepReport], None] = lambda _step: None
        self._silent_since: float | None = None
        self._judged: StepReport | None = None

    def record(self, kind: str, action: str = "", *, ok: bool = True, **detail: Any) -> None:
        """Write one entry to the journal and learn from it."""
        clock = self.world.clock
        event = Event(kind, action, ok, detail, clock.now(), clock.monotonic())
        self.world.log.append(event)
        self.history = self.history.after(event)
        self.on_event(event)

    def tick(self) -> Action:
        """Do the next thing and return it; the time of a ``Wait`` is left to the caller."""
        action = decide(self.plan, self.observe(), self.history)
        if isinstance(action, Wait) or self.history.finished is not None:
            return action
        if isinstance(action, Withdraw | Finish):
            self._tell_step()
        if isinstance(action, Finish):
            self.record("finish", status=action.status.value, reason=action.reason)
            self.world.mailbox.clear()
            return action
        name = action_name(action)
        self.record("intend", name, **asdict(action))
        try:
            detail = self._act(action)
        except TfsDeployError as error:
            self.record("outcome", name, ok=False, error=error.message, retriable=error.retriable)
            return action
        self.record("outcome", name, **detail)
        if isinstance(action, Judge) and self.history.passed > action.step:
            self._tell_step()
        return action

    def observe(self) -> Observation:
        """Look at the server, the traffic file and the mailbox."""
        world = self.world
        server: ServerView | None = None
        error = ""
        try:
            server = world.server.observe(sorted({self.plan.stable, self.plan.canary, *self.plan.others}))
        except TfsDeployError as fault:
            error = fault.message
        now = world.clock.monotonic()
        if server is not None:
            self._silent_since = None
        elif self._silent_since is None:
            self._silent_since = now
        silent_for = 0.0 if self._silent_since is None else now - self._silent_since
        ended = server is None and world.process.ended()
        weights, request = world.traffic.read(), world.mailbox.read()
        return Observation(now, server, weights, silent_for, error, ended=ended, request=request)

    def _act(self, action: Action) -> dict[str, Any]:
        """Carry out one action and return what the journal keeps of its outcome."""
        world = self.world
        if isinstance(action, Preflight):
            return _checked(world.checks.preflight(self.plan))
        if isinstance(action, Smoke):
            return _checked(world.checks.smoke(action.version))
        if isinstance(action, Apply):
            return self._apply(action)
        if isinstance(action, Weigh | Calm):
            world.traffic.write(action.weights)
            return {"step": action.step} if isinstance(action, Weigh) else {}
        if isinstance(action, Judge):
            return self._judge(action)
        if isinstance(action, Revive):
            world.process.revive()
        return asdict(action)

    def _apply(self, action: Apply) -> dict[str, Any]:
        detail: dict[str, Any] = {}
        if action.purpose == "load":
            before = self.world.server.observe(()).versions.get(self.plan.new)
            detail["stale_failure"] = before is not None and before.failed
        self.world.server.apply(action.versions, action.labels)
        return detail

    def _judge(self, action: Judge) -> dict[str, Any]:
        window = (self.history.step_at, self.world.clock.monotonic())
        judged = judge_step(
            self.plan, action.step, window, self.world.gates, self.world.requests, self.history.baseline
        )
        self._judged = judged.report
        return {
            **judged.report.as_dict(),
            "step": action.step,
            "final": action.final,
            "reason": judged.reason,
            "baseline": judged.baseline.as_dict(),
        }

    def _tell_step(self) -> None:
        if self._judged is not None:
            report, self._judged = self._judged, None
            self.on_step(report)


def _checked(result: CheckResult) -> dict[str, Any]:
    if not result.ok and result.retriable:
        raise UnavailableError(result.reason)
    return {"passed": result.ok, "reason": result.reason, "notes": list(result.notes)}
