"""``tfs-deploy rollout``: move traffic from one version to the next, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.shared.options import common
from tfs_deploy.cli.shared.rollout_options import EPILOG, plan_options
from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output

_FILE = click.argument("file", type=click.Path(path_type=Path))
_MODEL = click.option("--model", help="The model; may be left out where there is only one.")
_WATCH = click.option("--watch", is_flag=True, help="Print the table of steps after each verdict.")
_TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds to wait."
)
_WAIT_LOCK = click.option(
    "--wait-lock", default="0s", show_default=True, metavar="TIME", help="Wait for another process at work so long."
)
_NUMBER = click.option("--number", type=click.IntRange(min=1), help="The rollout of that number.  [default: the last]")


@click.group(name="rollout")
def command() -> None:
    """Move traffic from one version to the next, step by step, and back when a check fails."""


@command.command(epilog=EPILOG)
@_FILE
@plan_options
@_WAIT_LOCK
@_WATCH
@common
def start(output: Output, file: Path, *, wait_lock: str, watch: bool, **options: Any) -> int:
    """Roll out a version of a model of the deployment FILE, or go on with the rollout that was left unfinished.

    Preflight, load, smoke, canary label, traffic steps with a verdict after each, promotion, retirement. A failing
    check sends everything back to the old version, and the exit code is 1.
    """
    from tfs_deploy.cli.shared.rollout_options import make_rollout
    from tfs_deploy.cli.shared.rollout_runs import carry_through

    return carry_through(output, make_rollout(file, wait_lock, options), watch=watch)


@command.command(epilog=EPILOG)
@_FILE
@plan_options
@common
def plan(output: Output, file: Path, **options: Any) -> None:
    """Show what a rollout would do and how long it takes at least; the server is asked, nothing is changed."""
    from tfs_deploy.cli.shared.rollout_options import make_rollout
    from tfs_deploy.cli.shared.rollout_runs import show_plan

    show_plan(output, make_rollout(file, "0s", options).preview())


@command.command()
@_FILE
@_MODEL
@_WAIT_LOCK
@_WATCH
@common
def resume(output: Output, file: Path, *, model: str | None, wait_lock: str, watch: bool) -> int:
    """Go on with a rollout that was paused, or whose process has ended."""
    from tfs_deploy.cli.shared.rollout_runs import carry_through, choose, require_unfinished
    from tfs_deploy.rollout import Rollout
    from tfs_deploy.rollout.notation import parse_seconds

    deployment, name = choose(file, model)
    require_unfinished(deployment, name)
    return carry_through(output, Rollout(deployment, name, wait_lock=parse_seconds(wait_lock)), watch=watch)


@command.command()
@_FILE
@_MODEL
@click.option("--skip-steps", is_flag=True, help="Leave out the traffic steps that are left.")
@_WATCH
@common
def promote(output: Output, file: Path, *, model: str | None, skip_steps: bool, watch: bool) -> int:
    """Say yes to the promotion: of a rollout that waits for it, or in advance.

    Goes on with a rollout that was paused; tells the process that is at work on one.
    """
    from tfs_deploy.cli.shared.rollout_runs import choose, require_unfinished, say_yes

    deployment, name = choose(file, model)
    require_unfinished(deployment, name)
    return say_yes(output, deployment, name, skip_steps=skip_steps, watch=watch)


@command.command()
@_FILE
@_MODEL
@_TIMEOUT
@common
def abort(output: Output, file: Path, *, model: str | None, timeout: float) -> int:
    """Send everything back to the old version, whether a process is at work on the rollout or not."""
    from tfs_deploy.cli.shared.rollout_runs import choose, require_unfinished, send_back

    deployment, name = choose(file, model)
    require_unfinished(deployment, name)
    return send_back(output, deployment, name, timeout=timeout)


@command.command()
@_FILE
@_MODEL
@_TIMEOUT
@common
def pause(output: Output, file: Path, *, model: str | None, timeout: float) -> int:
    """Stop the process that is at work; labels and traffic stay as they are until resume or abort."""
    from tfs_deploy.cli.shared.rollout_runs import ask_and_wait, choose, require_unfinished
    from tfs_deploy.rollout import Status
    from tfs_deploy.state.lock import rollout_holder

    deployment, name = choose(file, model)
    require_unfinished(deployment, name)
    code = None
    if rollout_holder(deployment.state_dir, name) is not None:
        code = ask_and_wait(output, deployment, name, "pause", Status.PAUSED, timeout)
    if code is None:
        raise UsageError(f"no process is at work on {name}", hint="tfs-deploy rollout status shows how it stands")
    return code


@command.command()
@_FILE
@_MODEL
@click.option("--watch", is_flag=True, help="Keep showing it until the rollout has ended.")
@common
def status(output: Output, file: Path, *, model: str | None, watch: bool) -> None:
    """Show the last rollout of a model: how it stands, its steps and their verdicts."""
    from tfs_deploy.cli.shared.rollout_runs import choose, show_status
    from tfs_deploy.cli.shared.rollout_watch import watch_status

    deployment, name = choose(file, model)
    if watch and not output.as_json:
        watch_status(output, deployment, name)
    show_status(output, deployment, name)


@command.command()
@_FILE
@_MODEL
@common
def history(output: Output, file: Path, *, model: str | None) -> None:
    """List the rollouts of a model, the last one first."""
    from tfs_deploy.cli.shared.rollout_runs import choose, show_history

    show_history(output, *choose(file, model))


@command.command()
@_FILE
@_MODEL
@_NUMBER
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write a page with plots into this file.")
@common
def report(output: Output, file: Path, *, model: str | None, number: int | None, html: Path | None) -> None:
    """Report on a rollout: as Markdown on standard output, or as one HTML page that needs no other file."""
    from tfs_deploy.cli.shared.rollout_runs import choose, show_report

    deployment, name = choose(file, model)
    show_report(output, deployment, name, number, html)
