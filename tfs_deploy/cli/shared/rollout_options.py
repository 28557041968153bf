# SPDX-License-Identifier: Apache-2.0
"""The options that say how a rollout goes, shared by ``rollout start`` and ``rollout plan``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line import deployed, kinds
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.words import paths
from tfs_deploy.cli.shared.options import ANY_SERVER, all_of

if TYPE_CHECKING:
    from pathlib import Path

    from tfs_deploy.rollout import Rollout

_STRATEGIES = ("canary", "blue-green", "shadow", "ab")

OPTIONS = (
    option(
        "--model",
        metavar="NAME",
        shell_complete=deployed.model,
        help="Model to roll out; optional if FILE has only one.",
    ),
    option(
        "--to",
        type=int,
        metavar="N",
        shell_complete=deployed.version,
        help="Version to roll out.  [default: the newest, on disk or in the `store` of the model]",
    ),
    option(
        "--strategy",
        type=click.Choice(_STRATEGIES),
        default="canary",
        show_default=True,
        help="How traffic moves to the new version.",
    ),
    option(
        "--steps", metavar="PERCENTS", help="Percent of traffic for the new version, per step.  [canary: 5,25,50,100]"
    ),
    option("--bake", default="10s", show_default=True, metavar="TIME", help="Duration of each step."),
    option(
        "--check-every", default="5s", show_default=True, metavar="TIME", help="Time between two checks of the gates."
    ),
    option(
        "--gate",
        "gates",
        multiple=True,
        metavar="NAME=LIMIT",
        shell_complete=kinds.gates,
        help="Gate (see below); may be repeated.",
    ),
    option("--no-default-gates", is_flag=True, help="Use only the golden gate and the ones given by --gate."),
    option("--prometheus", metavar="URL", help="Default Prometheus URL for promql gates."),
    option(
        "--gate-header",
        "gate_headers",
        multiple=True,
        metavar="'NAME: VALUE'",
        help="Header for the URLs of gates, ${VARIABLE} is that of the environment; may be repeated.",
    ),
    option(
        "--gate-ca",
        metavar="FILE",
        shell_complete=paths(".pem", ".crt", ".cer"),
        help="CA certificates (PEM) to trust for the URLs of gates.",
    ),
    option(
        "--requests",
        "requests_file",
        metavar="FILE",
        shell_complete=paths(),
        help="Requests for the drift gate: .npz, or a warmup file.",
    ),
    option(
        "--min-samples",
        type=click.IntRange(min=1),
        default=30,
        show_default=True,
        metavar="N",
        help="Samples that a gate needs to judge.",
    ),
    option(
        "--fail-after",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        metavar="N",
        help="Consecutive failures before rolling back.",
    ),
    option(
        "--samples-timeout",
        default="1m",
        show_default=True,
        metavar="TIME",
        help="Time to wait for enough samples after a step has baked.",
    ),
    option(
        "--on-too-few",
        type=click.Choice(["fail", "pause", "pass"]),
        default="fail",
        show_default=True,
        help="What to do if requests are still too few after that: roll back, wait for a person, go on unjudged.",
    ),
    option(
        "--require-traffic/--no-require-traffic",
        default=None,
        help="Whether each step needs a request to the new version.  [needed if consumers recorded this week]",
    ),
    option("--manual", is_flag=True, help="Pause after the steps, until `rollout promote`."),
    option(
        "--keep-warm",
        default="0s",
        show_default=True,
        metavar="TIME",
        help="Time that the old version stays loaded after the promotion.",
    ),
    option("--keep-old", is_flag=True, help="Keep the old version loaded, for a rollback without loading."),
    option("--keep-canary", is_flag=True, help="Keep the label canary, on the new version."),
    option(
        "--retain",
        type=click.IntRange(min=2),
        metavar="N",
        help="Number of versions to keep on disk afterwards.  [default: all]",
    ),
    option("--load-timeout", default="10m", show_default=True, metavar="TIME", help="Time that loading may take."),
    option(
        "--outage",
        default="10s",
        show_default=True,
        metavar="TIME",
        help="Time that a server may be silent before rolling back.",
    ),
    option(
        "--hook",
        "hooks",
        multiple=True,
        metavar="WHEN:PHASE=TARGET",
        shell_complete=kinds.phases,
        help="Command or URL to call at a phase (see below); may be repeated.",
    ),
    option(
        "--notify", multiple=True, metavar="TARGET", help="Command or URL to notify of each phase; may be repeated."
    ),
    option(
        "--replica",
        "replicas",
        multiple=True,
        metavar="HOST:PORT[/REST]",
        help="Server to roll out to, if there are several; may be repeated.",
    ),
    option(
        "--require-verdict",
        "verdict",
        metavar="FILE",
        shell_complete=paths(".json"),
        help="Only roll out what this verdict passed: verdict.json of `verify`, or its directory.",
    ),
    ANY_SERVER,
    option("--allow-missing-goldens", is_flag=True, help="Allow a version without recorded answers."),
    option(
        "--allow-missing-warmup",
        is_flag=True,
        help="Allow a version without warmup requests if the old version has them.",
    ),
    option("--allow-breaking", is_flag=True, help="Allow signatures that break clients of the old version."),
    option("--ignore-lint", is_flag=True, help="Allow a version with errors of `lint`."),
    option("--ignore-memory", is_flag=True, help="Load even if both versions may not fit into memory."),
)


def reference() -> str:
    """Return how times, gates and hooks are written."""
    from tfs_deploy.rollout.gates.registry import gate_usage

    return f"""\
Times: 500ms, 10s, 5m, 1h30m, 7d.
Gates (each may be repeated; the golden gate always applies):
{gate_usage()}
Hooks: before:PHASE or after:PHASE, with JSON on standard input; phases:
  preflight load smoke label step promote settle retire rollback
"""


plan_options = all_of(OPTIONS)


def make_rollout(file: Path, wait_lock: str, options: dict[str, Any]) -> Rollout:
    """Make the rollout that the options describe; raises ``UsageError`` before the server is asked."""
    from tfs_deploy.cli.shared.rollout_control import choose_model
    from tfs_deploy.rollout.gates.registry import parse_gate
    from tfs_deploy.rollout.machine.strategies import parse_steps
    from tfs_deploy.rollout.notation import parse_seconds

    deployment, name = choose_model(file, options.pop("model"))
    strategy, steps = options.pop("strategy"), options.pop("steps")
    prometheus = options.pop("prometheus") or ""
    gates = [parse_gate(text, prometheus=prometheus) for text in options.pop("gates")]
    for time in ("bake", "check_every", "samples_timeout", "keep_warm", "load_timeout", "outage"):
        options[time] = parse_seconds(options[time])
    if options["require_traffic"] is None:
        del options["require_traffic"]  # then it depends on the consumers
    if not options["keep_canary"]:
        del options["keep_canary"]  # then it is as the deployment file has it
    return deployment.rollout(
        name,
        options.pop("to"),
        strategy=strategy,
        steps=None if steps is None else parse_steps(steps, strategy),
        gates=gates or None,
        default_gates=not options.pop("no_default_gates"),
        verdict=_verdict(options.pop("verdict")),
        requests_file=_absolute(options.pop("requests_file")),
        gate_ca=_absolute(options.pop("gate_ca")),
        wait_lock=parse_seconds(wait_lock),
        **options,
    )


def _verdict(path: str | None) -> str:
    """Return the absolute path of a verdict file, which must be readable before anything begins."""
    if path is not None:
        from tfs_deploy.store.verdict import read_verdict

        read_verdict(path)
    return _absolute(path)


def _absolute(path: str | None) -> str:
    """Return the absolute path, for a process in another directory that resumes the rollout."""
    from pathlib import Path

    return str(Path(path).absolute()) if path else ""
