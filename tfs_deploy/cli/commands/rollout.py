# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy rollout``: move traffic from one version to the next, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line import deployed
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.shared.help import Group
from tfs_deploy.cli.shared.options import COMMON, DEPLOYMENT_FILE, all_of, common
from tfs_deploy.cli.shared.rollout_options import plan_options, reference
from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output

_MODEL = option(
    "--model",
    metavar="NAME",
    shell_complete=deployed.model,
    help="Model of the rollout; optional if FILE has only one.",
)
_WATCH = option("--watch", is_flag=True, help="Print the table of steps after each verdict.")
_TIMEOUT = option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="Time to wait for the process at work, in seconds.",
)
_WAIT_LOCK = option(
    "--wait-lock", default="0s", show_default=True, metavar="TIME", help="Time to wait for the lock: 30s, 5m."
)
_NUMBER = option(
    "--number",
    type=click.IntRange(min=1),
    metavar="N",
    help="Number of the rollout, as `history` lists it.  [default: the last]",
)


@click.group(
    name="rollout",
    cls=Group,
    examples=("tfs-deploy rollout plan digits.yaml", "tfs-deploy rollout start digits.yaml --to 2 --bake 5m"),
)
@all_of(COMMON)
def command() -> None:
    """Move traffic from one version to the next, step by step.

    Use it to bring a new version into production: gates judge every step, and a failing gate moves everything back to
    the old version. `plan` shows what `start` will do.
    """


@command.command(
    examples=(
        "tfs-deploy rollout start digits.yaml",
        "tfs-deploy rollout start digits.yaml --to 2 --steps 10,50,100 --bake 5m",
    ),
    reference=reference,
)
@DEPLOYMENT_FILE
@plan_options
@_WAIT_LOCK
@_WATCH
@common
def start(output: Output, file: Path, *, wait_lock: str, watch: bool, **options: Any) -> int:
    """Roll out a version, or continue an unfinished rollout.

    Use it when a new version of a model of the deployment FILE is on disk, or in its `store`: then it is pulled first.
    The phases: preflight, load, smoke, canary label, traffic steps with a verdict after each, promotion, retirement of
    the old version.

    Exit code 1: a check failed and everything is back on the old version, or the rollout waits for `promote`.
    """
    from tfs_deploy.cli.shared.rollout_control import run_rollout
    from tfs_deploy.cli.shared.rollout_options import make_rollout

    return run_rollout(output, make_rollout(file, wait_lock, options), watch=watch)


@command.command(
    examples=(
        "tfs-deploy rollout plan digits.yaml",
        "tfs-deploy rollout plan digits.yaml --to 2 --strategy blue-green --json",
    ),
    reference=reference,
)
@DEPLOYMENT_FILE
@plan_options
@common
def plan(output: Output, file: Path, **options: Any) -> None:
    """Show what a rollout would do, and what preflight refuses.

    Use it before `rollout start`, with the same options. It queries the server of the deployment FILE and changes
    nothing. What preflight would refuse is listed with the flag that allows it; the exit code stays 0.
    """
    from tfs_deploy.cli.shared.rollout_options import make_rollout
    from tfs_deploy.cli.shared.rollout_views import show_plan

    show_plan(output, *make_rollout(file, "0s", options).examine())


@command.command(
    examples=("tfs-deploy rollout resume digits.yaml", "tfs-deploy rollout resume digits.yaml --wait-lock 1m")
)
@DEPLOYMENT_FILE
@_MODEL
@_WAIT_LOCK
@_WATCH
@common
def resume(output: Output, file: Path, *, model: str | None, wait_lock: str, watch: bool) -> int:
    """Continue a rollout that was paused, or whose process has ended.

    Use it after `rollout pause`, or after the process or machine that ran the rollout has died. An interrupted step
    starts over.

    Exit code 1: a check failed and everything is back on the old version, or the rollout waits for `promote`.
    """
    from tfs_deploy.cli.shared.rollout_control import choose_model, require_unfinished, run_rollout
    from tfs_deploy.rollout.notation import parse_seconds

    deployment, name = choose_model(file, model)
    require_unfinished(deployment, name)
    return run_rollout(output, deployment.rollout(name, wait_lock=parse_seconds(wait_lock)), watch=watch)


@command.command(
    examples=("tfs-deploy rollout promote digits.yaml", "tfs-deploy rollout promote digits.yaml --skip-steps")
)
@DEPLOYMENT_FILE
@_MODEL
@option("--skip-steps", is_flag=True, help="Skip the remaining traffic steps.")
@_WAIT_LOCK
@_WATCH
@common
def promote(output: Output, file: Path, *, model: str | None, skip_steps: bool, wait_lock: str, watch: bool) -> int:
    """Approve the promotion of a rollout, now or in advance.

    Use it when a rollout with --manual, or an experiment, waits for a decision. A process at work on the rollout
    continues it; if there is none, this command does.

    Exit code 1: a check failed and everything is back on the old version.
    """
    from tfs_deploy.cli.shared.rollout_control import approve_rollout, choose_model, require_unfinished
    from tfs_deploy.rollout.notation import parse_seconds

    deployment, name = choose_model(file, model)
    require_unfinished(deployment, name)
    seconds = parse_seconds(wait_lock)
    return approve_rollout(output, deployment, name, skip_steps=skip_steps, wait_lock=seconds, watch=watch)


@command.command(examples=("tfs-deploy rollout abort digits.yaml", "tfs-deploy rollout abort digits.yaml --timeout 10"))
@DEPLOYMENT_FILE
@_MODEL
@_TIMEOUT
@common
def abort(output: Output, file: Path, *, model: str | None, timeout: float) -> int:
    """Abort a rollout and move everything back to the old version.

    Use it when a rollout should not go on. A process at work on it rolls back; if there is none, this command does.
    """
    from tfs_deploy.cli.shared.rollout_control import abort_rollout, choose_model, require_unfinished

    deployment, name = choose_model(file, model)
    require_unfinished(deployment, name)
    return abort_rollout(output, deployment, name, timeout=timeout)


@command.command(examples=("tfs-deploy rollout pause digits.yaml", "tfs-deploy rollout pause digits.yaml --timeout 10"))
@DEPLOYMENT_FILE
@_MODEL
@_TIMEOUT
@common
def pause(output: Output, file: Path, *, model: str | None, timeout: float) -> int:
    """Pause a rollout: labels and traffic stay as they are.

    Use it to gain time, for instance to look into a gate. The process at work ends; `rollout resume` continues the
    rollout, `rollout abort` moves everything back.
    """
    from tfs_deploy.cli.shared.rollout_control import choose_model, request_and_wait, require_unfinished
    from tfs_deploy.deployment.deployment import command_arguments
    from tfs_deploy.rollout import Status
    from tfs_deploy.state.lock import rollout_holder

    deployment, name = choose_model(file, model)
    require_unfinished(deployment, name)
    code = None
    if rollout_holder(deployment.state_dir, name) is not None:
        code = request_and_wait(output, deployment, name, "pause", Status.PAUSED, timeout)
    if code is None:
        hint = f"tfs-deploy rollout status {command_arguments(deployment, name)}"
        raise UsageError(f"no process is at work on {name}", hint=hint)
    return code


@command.command(examples=("tfs-deploy rollout status digits.yaml", "tfs-deploy rollout status digits.yaml --watch"))
@DEPLOYMENT_FILE
@_MODEL
@option("--watch", is_flag=True, help="Follow the rollout until it ends.")
@common
def status(output: Output, file: Path, *, model: str | None, watch: bool) -> None:
    """Show the last rollout of a model, with its steps and verdicts.

    Use it while a rollout runs, or to see how it ended and whether it waits for you.
    """
    from tfs_deploy.cli.shared.rollout_control import choose_model
    from tfs_deploy.cli.shared.rollout_views import show_status
    from tfs_deploy.cli.shared.rollout_watch import watch_status

    deployment, name = choose_model(file, model)
    if watch:
        watch_status(output, deployment, name)
    show_status(output, deployment, name)


@command.command(examples=("tfs-deploy rollout history digits.yaml", "tfs-deploy rollout history digits.yaml --json"))
@DEPLOYMENT_FILE
@_MODEL
@common
def history(output: Output, file: Path, *, model: str | None) -> None:
    """List the rollouts of a model, the latest first.

    Use it to see which versions were stable and when, and to find the number of a rollout for `rollout report`.
    """
    from tfs_deploy.cli.shared.rollout_control import choose_model
    from tfs_deploy.cli.shared.rollout_views import show_history

    show_history(output, *choose_model(file, model))


@command.command(
    examples=("tfs-deploy rollout report digits.yaml", "tfs-deploy rollout report digits.yaml --html report.html")
)
@DEPLOYMENT_FILE
@_MODEL
@_NUMBER
@option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write an HTML page with plots to this file.")
@common
def report(output: Output, file: Path, *, model: str | None, number: int | None, html: Path | None) -> None:
    """Write the report of a rollout, as Markdown or as an HTML page.

    Use it to show others what a rollout did and why. Markdown goes to standard output; the HTML page has plots and is a
    single file.
    """
    from tfs_deploy.cli.shared.rollout_control import choose_model
    from tfs_deploy.cli.shared.rollout_views import show_report

    deployment, name = choose_model(file, model)
    show_report(output, deployment, name, number, html)
