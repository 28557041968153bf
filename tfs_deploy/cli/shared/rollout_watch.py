# SPDX-License-Identifier: Apache-2.0
"""``rollout status --watch``: a live view on a terminal, a line for each event elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

from tfs_deploy.client import read_traffic
from tfs_deploy.deployment.deployment import command_arguments
from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.report import steps_table, terminal_table
from tfs_deploy.report.timeline import timeline
from tfs_deploy.rollout import RolloutResult
from tfs_deploy.rollout.begin import latest_rollout
from tfs_deploy.state.lock import describe_holder, rollout_holder
from tfs_deploy.state.traffic import traffic_path

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.deployment import Deployment
    from tfs_deploy.rollout.begin import RecordedRollout

_EVERY: Final = 0.5
_LINES: Final = 8


def watch_status(output: Output, deployment: Deployment, model: str) -> None:
    """Show the last rollout until it has ended, or no process is at work on it."""
    if latest_rollout(deployment.state_dir, model) is None:
        start = f"tfs-deploy rollout start {command_arguments(deployment, model)}"
        output.note(f"there is no rollout to watch; start one with: {start}")
        return
    if not sys.stderr.isatty():
        _watch_lines(output, deployment, model)
        return
    from rich.live import Live

    console = output.console(stderr=True)
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while (last := latest_rollout(deployment.state_dir, model)) is not None and _is_running(deployment, last):
            live.update(live_view(deployment, model, last), refresh=True)
            time.sleep(_EVERY)


def _watch_lines(output: Output, deployment: Deployment, model: str) -> None:
    printed = 0
    while (last := latest_rollout(deployment.state_dir, model)) is not None:
        lines = timeline(last.plan, last.events).lines
        for _, text in lines[printed:]:
            output.note(text)
        printed = len(lines)
        if not _is_running(deployment, last):
            return
        time.sleep(_EVERY)


def _is_running(deployment: Deployment, last: RecordedRollout) -> bool:
    return last.history.finished is None and rollout_holder(deployment.state_dir, last.plan.model) is not None


def live_view(deployment: Deployment, model: str, last: RecordedRollout, *, now: float | None = None) -> RenderableType:
    """Return the live view of a rollout: phase, traffic, steps so far, the last lines of the journal."""
    from rich.console import Group
    from rich.text import Text

    plan, when = last.plan, time.time() if now is None else now
    times = timeline(plan, last.events)
    since = times.seconds + max(0.0, when - last.events[-1].at)
    phase = times.segments[-1] if times.segments else None
    head = f"{plan.model}: version {plan.old} to {plan.new}, {plan.strategy}, {since:.0f} s"
    if phase is not None:
        head += f"; {phase.phase} for {max(0.0, since - phase.start):.0f} s"
    about = rollout_holder(deployment.state_dir, model)
    parts: list[RenderableType] = [Text(head, "bold"), Text(f"traffic: {_split(deployment, model)}")]
    if about is not None:
        parts.append(Text(f"at work: {describe_holder(about)}", "dim"))
    steps = RolloutResult.from_events(plan, last.events).steps
    if steps:
        parts.append(terminal_table(steps_table(steps)))
    parts += [Text(f"{at:8.1f} s  {text}", "dim") for at, text in times.lines[-_LINES:]]
    return Group(*parts)


def _split(deployment: Deployment, model: str) -> str:
    try:
        traffic = read_traffic(traffic_path(deployment.state_dir))
    except EnvironmentFault as error:
        return error.message
    shares = [f"{share:g} % {label}" for label, share in sorted(traffic.models.get(model, {}).items()) if share]
    copies = [f"copies of {share:g} % to {label}" for label, share in traffic.copies.get(model, {}).items()]
    return ", ".join([*shares, *copies]) or "not recorded"
