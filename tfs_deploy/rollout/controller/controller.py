# SPDX-License-Identifier: Apache-2.0
"""The controller: one tick observes, decides, writes the intention, acts, writes the outcome."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import EnvironmentFault, TfsDeployError, UnavailableError
from tfs_deploy.rollout.controller.judgement import judge_step
from tfs_deploy.rollout.controller.request_counter import RequestCounter
from tfs_deploy.rollout.machine.actions import (
    Action,
    Apply,
    Finish,
    Judge,
    Preflight,
    Prune,
    Rescue,
    RestartServer,
    RestoreTraffic,
    RolloutStatus,
    SetTraffic,
    Smoke,
    Wait,
    Withdraw,
    action_name,
)
from tfs_deploy.rollout.machine.decide import decide
from tfs_deploy.rollout.machine.history import Event, History
from tfs_deploy.rollout.machine.observation import LOADING, START, Observation
from tfs_deploy.rollout.machine.phases import PHASES, ROLLBACK
from tfs_deploy.rollout.machine.traffic_split import TrafficSplit
from tfs_deploy.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.rollout.check_result import CheckResult
    from tfs_deploy.rollout.controller.world import World
    from tfs_deploy.rollout.machine.observation import ServerView
    from tfs_deploy.rollout.machine.plan import RolloutPlan
    from tfs_deploy.rollout.result import StepReport


class Controller:
    """Carries out one plan; ``on_event`` hears every entry of the journal, ``on_step`` every step's verdict."""

    def __init__(self, plan: RolloutPlan, world: World, history: History | None = None) -> None:
        self.plan = plan
        self.world = world
        self.history = history or History()
        self.counter = RequestCounter(world.requests, world.clock)
        self.on_event: Callable[[Event], None] = lambda _event: None
        self.on_step: Callable[[StepReport], None] = lambda _step: None
        self._silent_since: float | None = None
        self._silent = ""
        self._answered_at: float | None = None
        self._replaced = False
        self._judged: StepReport | None = None
        self._remarked = False

    def record(self, kind: str, action: str = "", *, ok: bool = True, **detail: Any) -> None:
        """Write one entry to the journal and add it to the history."""
        clock = self.world.clock
        event = Event(kind, action, ok, detail, clock.now(), clock.monotonic())
        self.world.log.append(event)
        self.history = self.history.after(event)
        self.on_event(event)

    def tick(self) -> Action:
        """Do the next action and return it; the caller waits where it is a ``Wait``.

        Raises ``EnvironmentFault`` when the journal cannot be written. No process could then resume the rollout where
        it stands, so the canary is taken out of the traffic first.
        """
        try:
            return self._tick()
        except EnvironmentFault:
            self._make_safe()
            raise

    def _tick(self) -> Action:
        seen = self.observe()
        self._note_outage(seen)
        self.counter.keep_up(seen.now)
        action = _in_one_line(decide(self.plan, seen, self.history))
        if isinstance(action, Wait) or self.history.finished is not None:
            return action
        if isinstance(action, Withdraw | Finish):
            self._tell_step()
        if isinstance(action, Finish):
            self._finish(action)
            return action
        name = action_name(action)
        objection = self._enter(action)
        if objection is not None:
            self.record("outcome", name, ok=False, error=objection, retriable=False)
            return action
        self.record("intend", name, **asdict(action))
        try:
            detail = self._act(action)
        except TfsDeployError as error:
            self.world.log.make_room(error.__cause__)
            self.record("outcome", name, ok=False, error=one_line(error.message), retriable=error.retriable)
            return action
        self.record("outcome", name, **detail)
        if name == "approve":
            self.world.mailbox.clear()
        if isinstance(action, Judge) and self.history.passed > action.step:
            self._tell_step()
        return action

    def observe(self) -> Observation:
        """Return what the server, the traffic file and the mailbox say now."""
        world = self.world
        server: ServerView | None = None
        error, asked = "", world.clock.monotonic()
        try:
            server = world.server.observe(sorted({self.plan.stable, self.plan.canary, *self.plan.others}))
        except TfsDeployError as fault:
            error = fault.message
        now = world.clock.monotonic()
        coming = server is not None and self._is_coming(server)
        if server is not None and server.missing:
            self._silent, error = ", ".join(server.missing), f"{', '.join(server.missing)} does not answer"
        elif server is None:
            self._silent = "the server"
        elif coming:
            error = f"version {self.plan.old} is {server.state(self.plan.old)}"
        whole = server is not None and not server.missing and not coming
        if not whole and self._silent_since is None:
            self._silent_since = asked  # the silence began with the question
            self._silent = f"version {self.plan.old}" if coming else self._silent
        silent_for = 0.0 if whole or self._silent_since is None else now - self._silent_since
        ended = self._note_replacement() or (server is None and world.process.ended())
        self._answered_at = asked if whole else self._answered_at
        split, request = world.traffic.read(), world.mailbox.read()
        lost = server is not None and not server.available(self.plan.old) and not coming
        gone = world.checks.missing(self.plan.old) if lost else ""
        return Observation(now, server, split, silent_for, error, ended, coming, gone, request, world.log.starved)

    def _is_coming(self, server: ServerView) -> bool:
        """Whether the old version, which has to serve, is loading again: a server answers before its models do."""
        serves = bool(self.plan.steps) and "retire" not in self.history.intended
        return serves and server.state(self.plan.old) in (START, LOADING)

    def _note_replacement(self) -> bool:
        """Return whether another process serves; an end between two looks is an outage since the last answer."""
        before, self._replaced = self._replaced, self.world.process.replaced()
        if self._replaced and not before and self._silent_since is None:
            self._silent, self._silent_since = "the server", self._answered_at
        return self._replaced

    def _note_outage(self, seen: Observation) -> None:
        """Record how long there was no answer, once there is one again."""
        if seen.silent or self._silent_since is None:
            return
        since, self._silent_since = self._silent_since, None
        self.record("note", "outage", seconds=seen.now - since, who=self._silent)

    def _enter(self, action: Action) -> str | None:
        """Run the hooks between two phases; return in one line why one of them objects, ``None`` if none does."""
        past, hooks = self.history, self.world.hooks
        step = action.step if isinstance(action, SetTraffic | Judge) else 0
        rank = past.rank_of(action_name(action), step)
        if rank is None or rank <= past.rank:
            return None
        phase, facts = PHASES[rank[0]], self._facts(rank)
        objection = None
        if phase != ROLLBACK:  # nothing may hold up a rollback
            if past.phase:
                objection = hooks.run("after", past.phase, self._facts(past.rank))
            objection = objection or hooks.run("before", phase, facts)
        if objection is None:
            reason = action.reason if isinstance(action, Withdraw) else ""
            hooks.tell({**facts, "status": RolloutStatus.RUNNING.value, "reason": reason})
        return objection

    def _finish(self, action: Finish) -> None:
        now = self.world.clock.monotonic()
        self.counter.wait()
        self.counter.look(now)
        refused: dict[str, Any] = {"refused": True} if action.refused else {}
        self.record("finish", status=action.status.value, reason=action.reason, **refused, **self.counter.as_detail())
        self.world.mailbox.clear()
        past = self.history
        facts = {**self._facts(past.rank), "status": action.status.value, "reason": action.reason}
        if past.phase and action.status is not RolloutStatus.PAUSED:
            objection = self.world.hooks.run("after", past.phase, facts)
            if objection is not None:  # the rollout is over: only a note
                self.record("note", "hook", text=objection)
        self.world.hooks.tell(facts)

    def _facts(self, rank: tuple[int, int]) -> dict[str, Any]:
        """Return the facts about a phase that hooks get."""
        plan, (place, step) = self.plan, rank
        phase = PHASES[place] if place >= 0 else ""
        facts = {"model": plan.model, "from": plan.old, "to": plan.new, "strategy": plan.strategy, "phase": phase}
        return {**facts, "step": step + 1, "percent": plan.steps[step]} if phase == "step" else facts

    def _act(self, action: Action) -> dict[str, Any]:
        """Carry out one action and return what the journal keeps of its outcome."""
        world = self.world
        if isinstance(action, Preflight):
            return _checked(world.checks.preflight(self.plan))
        if isinstance(action, Smoke):
            return _checked(world.checks.smoke(action.version))
        if isinstance(action, Apply):
            return self._apply(action)
        if isinstance(action, SetTraffic):
            memory = self._memory() if self.history.memory is None else None
            world.traffic.write(TrafficSplit(action.weights, action.copies))
            return {"step": action.step, "memory": memory}
        if isinstance(action, RestoreTraffic | Rescue):
            world.traffic.write(TrafficSplit(action.weights))
            return {}
        if isinstance(action, Judge):
            return self._judge(action)
        if isinstance(action, Prune):
            return {"notes": [world.checks.prune(action.keep, self.plan.new)]}
        if isinstance(action, RestartServer):
            world.process.revive()
        return asdict(action)

    def _apply(self, action: Apply) -> dict[str, Any]:
        detail: dict[str, Any] = {}
        if action.purpose == "load":
            before = self.world.server.observe(()).versions.get(self.plan.new)
            detail["stale_failure"] = before is not None and before.failed
        if action.purpose == "restore":
            detail["again"] = "restore" in self.history.applied
        self.world.server.apply(action.versions, action.labels)
        return detail

    def _judge(self, action: Judge) -> dict[str, Any]:
        world, past = self.world, self.history
        window = (past.step_at, world.clock.monotonic())
        now = self._memory()
        memory = None if now is None else (past.memory or now, now)
        sources = world.gates, world.requests, past.baseline, memory
        judged = judge_step(self.plan, action.step, window, *sources, lenient=action.lenient)
        self._judged = judged.report
        for remark in filter(None, (verdict.remark for verdict in judged.report.verdicts)):
            if not self._remarked:
                self.record("note", "answers", text=one_line(remark))
            self._remarked = True
        self.counter.look(window[1])
        return {
            **self.counter.as_detail(),
            **judged.report.as_dict(),
            "step": action.step,
            "final": action.final,
            "lenient": action.lenient,
            "reason": judged.reason,
            "baseline": judged.baseline.as_dict(),
            "memory": now,
        }

    def _memory(self) -> int | None:
        """Return the memory of the server's process, ``None`` where it is unknown now, which its gate reports."""
        with contextlib.suppress(EnvironmentFault):
            return self.world.process.memory()
        return None

    def _make_safe(self) -> None:
        """Take the canary out of the traffic without a journal, as far as possible."""
        plan, past = self.plan, self.history
        if not past.exposed or "promote" in past.intended or past.finished is not None:
            return
        labels = {**plan.others, plan.stable: plan.old, plan.canary: plan.old}
        with contextlib.suppress(TfsDeployError):
            self.world.server.apply(plan.versions(plan.old, plan.new), labels)
        with contextlib.suppress(TfsDeployError):
            self.world.traffic.write(plan.safe_split())

    def _tell_step(self) -> None:
        if self._judged is not None:
            report, self._judged = self._judged, None
            self.on_step(report)


def _checked(result: CheckResult) -> dict[str, Any]:
    if not result.ok and result.retriable:
        raise UnavailableError(result.reason)
    notes = [one_line(note) for note in result.notes]
    allowed_by = {"allowed_by": list(result.allowed_by)} if result.allowed_by else {}
    return {"passed": result.ok, "reason": one_line(result.reason), "notes": notes, **allowed_by}


def _in_one_line(action: Action) -> Action:
    return replace(action, reason=one_line(action.reason)) if isinstance(action, Withdraw | Finish) else action
