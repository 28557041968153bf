"""The options that say how a rollout goes, shared by ``rollout start`` and ``rollout plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.rollout.gates.registry import gate_usage, parse_gate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfs_deploy.rollout import Rollout

_STRATEGIES = ("canary", "blue-green", "shadow", "ab")

OPTIONS = (
    click.option("--model", help="The model; may be left out where there is only one."),
    click.option("--to", type=int, help="The version to roll out.  [default: the newest on disk]"),
    click.option("--strategy", type=click.Choice(_STRATEGIES), default="canary", show_default=True),
    click.option("--steps", metavar="PERCENTS", help="Traffic of the new version.  [canary: 5,25,50,100]"),
    click.option("--bake", default="10s", show_default=True, metavar="TIME", help="How long each step is watched."),
    click.option("--check-every", default="5s", show_default=True, metavar="TIME", help="How often gates are asked."),
    click.option("--gate", "gates", multiple=True, metavar="NAME=LIMIT", help="A gate (see below); may be repeated."),
    click.option("--no-default-gates", is_flag=True, help="Only the golden gate and those of --gate."),
    click.option("--prometheus", metavar="URL", help="The server of promql gates that name none."),
    click.option("--requests", "requests_file", metavar="FILE", help="Requests for drift: .npz, or as a warmup file."),
    click.option("--min-samples", type=click.IntRange(min=1), default=30, show_default=True),
    click.option(
        "--fail-after", type=click.IntRange(min=1), default=1, show_default=True, metavar="N", help="Fails in a row."
    ),
    click.option("--samples-timeout", default="1m", show_default=True, metavar="TIME", help="Patience with too few."),
    click.option("--on-too-few", type=click.Choice(["fail", "pause"]), default="fail", show_default=True),
    click.option("--manual", is_flag=True, help="Pause after the steps, until: rollout promote."),
    click.option(
        "--keep-warm", default="0s", show_default=True, metavar="TIME", help="Old version stays loaded so long."
    ),
    click.option("--keep-old", is_flag=True, help="Leave the old version loaded, for a rollback without loading."),
    click.option("--keep-canary", is_flag=True, help="Keep the label canary, on the new version."),
    click.option(
        "--retain", type=click.IntRange(min=2), metavar="N", help="Then remove all but the N newest versions."
    ),
    click.option("--load-timeout", default="10m", show_default=True, metavar="TIME"),
    click.option("--outage", default="10s", show_default=True, metavar="TIME", help="A server may be silent so long."),
    click.option(
        "--hook", "hooks", multiple=True, metavar="WHEN:PHASE=TARGET", help="A command or URL; may be repeated."
    ),
    click.option("--notify", multiple=True, metavar="TARGET", help="A command or URL that is told of each phase."),
    click.option("--replica", "replicas", multiple=True, metavar="HOST:PORT[/REST]", help="Each server of several."),
    click.option("--require-verdict", "verdict", metavar="FILE", help="verdict.json of `verify` that has to say yes."),
    click.option("--allow-missing-goldens", is_flag=True, help="Accept a version without answers recorded at export."),
    click.option(
        "--allow-missing-warmup", is_flag=True, help="Accept a version without warmup, where the old one has it."
    ),
    click.option("--allow-breaking", is_flag=True, help="Accept signatures that break callers of the old version."),
    click.option("--ignore-lint", is_flag=True, help="Accept what lint calls an error."),
    click.option("--ignore-memory", is_flag=True, help="Load even if both versions may not fit into memory."),
)

EPILOG = f"""\b
Gates (each may be given; the golden gate always judges):
{gate_usage()}
Hooks: before:PHASE or after:PHASE, with JSON on standard input; phases:
  preflight load smoke label step promote settle retire rollback
"""


def plan_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, in their order."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


def make_rollout(file: Path, wait_lock: str, options: dict[str, Any]) -> Rollout:
    """Make the rollout that the options describe; raises ``UsageError`` before anything is asked or touched."""
    from tfs_deploy.cli.shared.rollout_runs import choose
    from tfs_deploy.rollout import Rollout
    from tfs_deploy.rollout.adapters.replicas import Replica
    from tfs_deploy.rollout.controller.hooks import Hook, check_target
    from tfs_deploy.rollout.machine.strategies import parse_steps
    from tfs_deploy.rollout.notation import parse_seconds

    deployment, name = choose(file, options.pop("model"))
    strategy, steps = options.pop("strategy"), options.pop("steps")
    prometheus = options.pop("prometheus") or ""
    gates = [parse_gate(text, prometheus=prometheus) for text in options.pop("gates")]
    for text in options["hooks"]:
        Hook.parse(text)
    for target in options["notify"]:
        check_target(target)
    for text in options["replicas"]:
        Replica.parse(text)
    for time in ("bake", "check_every", "samples_timeout", "keep_warm", "load_timeout", "outage"):
        options[time] = parse_seconds(options[time])
    if not options["keep_canary"]:
        del options["keep_canary"]  # then it is as the deployment file has it
    return Rollout(
        deployment,
        name,
        options.pop("to"),
        strategy=strategy,
        steps=None if steps is None else parse_steps(steps, strategy),
        gates=gates or None,
        default_gates=not options.pop("no_default_gates"),
        verdict=_verdict(options.pop("verdict")),
        requests_file=_absolute(options.pop("requests_file")),
        wait_lock=parse_seconds(wait_lock),
        **options,
    )


def _verdict(path: str | None) -> str:
    """Return where the verdict lies, which has to be one before anything begins."""
    if path is not None:
        from tfs_deploy.store.verdict import read_verdict

        read_verdict(path)
    return _absolute(path)


def _absolute(path: str | None) -> str:
    """Return a path that holds for a process elsewhere that takes the rollout up."""
    from pathlib import Path

    return str(Path(path).absolute()) if path else ""
