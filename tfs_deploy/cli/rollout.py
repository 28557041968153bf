"""``tfs-deploy rollout``: move traffic from one version to the next, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.options import common
from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from tfs_deploy.cli.output import Output

_FILE = click.argument("file", type=click.Path(path_type=Path))
_MODEL = click.option("--model", help="The model; may be left out where there is only one.")
_WATCH = click.option("--watch", is_flag=True, help="Print the table of steps after each verdict.")
_TIMEOUT = click.option(
    "--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds to wait."
)


@click.group(name="rollout")
def command() -> None:
    """Move traffic from one version to the next, step by step, and back when a check fails."""


@command.command()
@_FILE
@_MODEL
@click.option("--to", type=int, help="The version to roll out.  [default: the newest on disk]")
@click.option("--steps", default="5,25,50,100", show_default=True, metavar="PERCENTS", help="Traffic of the canary.")
@click.option("--bake", default="10s", show_default=True, metavar="TIME", help="How long each step is watched.")
@click.option("--keep-old", is_flag=True, help="Leave the old version loaded, for a rollback without loading.")
@click.option("--keep-canary", is_flag=True, help="Keep the label canary, on the new version.")
@click.option("--allow-missing-goldens", is_flag=True, help="Accept a version without answers recorded at export.")
@click.option("--allow-breaking", is_flag=True, help="Accept a version whose signatures break callers of the old one.")
@_WATCH
@common
def start(
    output: Output,
    file: Path,
    *,
    model: str | None,
    to: int | None,
    steps: str,
    bake: str,
    keep_old: bool,
    keep_canary: bool,
    allow_missing_goldens: bool,
    allow_breaking: bool,
    watch: bool,
) -> int:
    """Roll out a version of a model of the deployment FILE, or go on with the rollout that was left unfinished.

    Preflight, load, smoke, canary label, traffic steps with a verdict after each, promotion, retirement. A failing
    check sends everything back to the old version, and the exit code is 1.
    """
    from tfs_deploy.cli.rollouts import carry_through, choose
    from tfs_deploy.rollout import Rollout
    from tfs_deploy.rollout.plan import parse_seconds, parse_steps

    deployment, name = choose(file, model)
    options: dict[str, Any] = {
        "keep_old": keep_old,
        "need_goldens": not allow_missing_goldens,
        "allow_breaking": allow_breaking,
    }
    if keep_canary:
        options["keep_canary"] = True
    rollout = Rollout(deployment, name, to, steps=parse_steps(steps), bake=parse_seconds(bake), **options)
    return carry_through(output, rollout, watch=watch)


@command.command()
@_FILE
@_MODEL
@_WATCH
@common
def resume(output: Output, file: Path, *, model: str | None, watch: bool) -> int:
    """Go on with a rollout that was paused, or whose process has ended."""
    from tfs_deploy.cli.rollouts import carry_through, choose, require_unfinished
    from tfs_deploy.rollout import Rollout

    deployment, name = choose(file, model)
    require_unfinished(deployment, name)
    return carry_through(output, Rollout(deployment, name), watch=watch)


@command.command()
@_FILE
@_MODEL
@_TIMEOUT
@common
def abort(output: Output, file: Path, *, model: str | None, timeout: float) -> int:
    """Send everything back to the old version, whether a process is at work on the rollout or not."""
    from tfs_deploy.cli.rollouts import choose, require_unfinished, send_back

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
    from tfs_deploy.cli.rollouts import ask_and_wait, choose, require_unfinished
    from tfs_deploy.rollout import Status
    from tfs_deploy.rollout.lock import holder

    deployment, name = choose(file, model)
    require_unfinished(deployment, name)
    if holder(deployment.state_dir) is None:
        raise UsageError(f"no process is at work on {name}", hint="tfs-deploy rollout status shows how it stands")
    return ask_and_wait(output, deployment, name, "pause", Status.PAUSED, timeout)


@command.command()
@_FILE
@_MODEL
@common
def status(output: Output, file: Path, *, model: str | None) -> None:
    """Show the last rollout of a model: how it stands, its steps and their verdicts."""
    from tfs_deploy.cli.rollouts import choose, show
    from tfs_deploy.rollout import RolloutResult
    from tfs_deploy.rollout.begin import latest
    from tfs_deploy.rollout.lock import holder

    deployment, name = choose(file, model)
    last = latest(deployment.state_dir, name)
    at_work = holder(deployment.state_dir)
    if last is None:
        output.result({"rollout": None, "at_work": at_work}, f"{name} was never rolled out")
        return
    result = RolloutResult.from_events(last.plan, last.events)
    output.result({"rollout": result.as_dict(), "at_work": at_work}, lambda console: show(console, result))
    if last.unfinished and at_work is None:
        output.note(f"no process is at work on it: tfs-deploy rollout resume {file}, or rollout abort {file}")
