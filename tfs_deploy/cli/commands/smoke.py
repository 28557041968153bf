# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy smoke``: the answers of every label, compared with those recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line import deployed
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import ANY_SERVER, DEPLOYMENT_FILE, common
from tfs_deploy.cli.shared.output import Output
from tfs_deploy.errors import UsageError, VerdictError

if TYPE_CHECKING:
    from rich.console import Console

    from tfs_deploy.operations.deployment import Deployment
    from tfs_deploy.report import Table
    from tfs_deploy.smoke import SmokeCheck, SmokeReport

_COLORS = {"failed": "red", "skipped": "yellow"}


@click.command(
    name="smoke",
    cls=Command,
    examples=(
        "tfs-deploy smoke digits.yaml",
        "tfs-deploy smoke digits.yaml --label stable --textfile digits.prom",
    ),
)
@DEPLOYMENT_FILE
@option("--model", metavar="NAME", shell_complete=deployed.model, help="Check this model only.")
@option("--label", metavar="LABEL", shell_complete=deployed.label, help="Check this label only.")
@option(
    "--version",
    type=int,
    metavar="N",
    shell_complete=deployed.version,
    help="Check this version by number, even if it has no label.",
)
@option(
    "--rtol", type=click.FloatRange(min=0), metavar="NUMBER", help="Relative tolerance.  [default: as recorded, 1e-5]"
)
@option("--atol", type=click.FloatRange(min=0), metavar="NUMBER", help="Absolute tolerance.  [default: as recorded]")
@option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Timeout per request, in seconds.",
)
@ANY_SERVER
@option("--watch", "watching", is_flag=True, help="Repeat until Ctrl-C; print one line per round.")
@option(
    "--interval",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="Time between the starts of two rounds, in seconds.  [default: 10]",
)
@option("--rounds", type=click.IntRange(min=1), metavar="N", help="Number of rounds of --watch.  [default: no limit]")
@option(
    "--textfile",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.prom",
    help="Write metrics for Prometheus's textfile collector to this file, replaced in each round.",
)
@common
def command(
    output: Output,
    file: Path,
    *,
    model: str | None,
    label: str | None,
    version: int | None,
    rtol: float | None,
    atol: float | None,
    timeout: float,
    any_server: bool,
    watching: bool,
    interval: float | None,
    rounds: int | None,
    textfile: Path | None,
) -> int:
    """Compare the answers of every label with the recorded ones.

    Use it after `up`, or with --watch as a monitor. Each label of a deployment FILE gets the requests recorded at
    export, over gRPC and REST. A model without labels is called by version number, and a version without recorded
    answers gets made-up inputs. With --watch, --json prints one document per line.

    Exit code 1: a check failed; the last line names the first. With --watch, the last round decides; after Ctrl-C the
    exit code is 130.
    """
    from tfs_deploy.cli.shared.smoke_watch import one_round, recorder, watch
    from tfs_deploy.operations.deployment import Deployment

    if not watching and (interval is not None or rounds is not None):
        raise UsageError("--interval and --rounds need --watch", hint="add --watch, or leave them out")
    deployment = Deployment.load(file, check_disk=False)
    record = recorder(deployment.name, textfile)
    choice = {"model": model, "label": label, "version": version, "rtol": rtol, "atol": atol}
    choice |= {"timeout": timeout, "any_server": any_server}
    if watching:
        quietly = Output(quiet=True)
        return watch(
            output,
            lambda: _ask(quietly, deployment, choice),
            interval=10.0 if interval is None else interval,
            rounds=rounds,
            record=record,
        )
    found = one_round(lambda: _ask(output, deployment, choice))
    record(found)
    if found.error is not None:
        raise found.error
    return _conclude(output, found.report)


def _ask(output: Output, deployment: Deployment, choice: dict[str, Any]) -> SmokeReport:
    with output.progress(f"asking {deployment.name}") as progress:

        def say(check: SmokeCheck) -> None:
            progress.say(f"checking {deployment.name}: {check.model} {check.target}")

        return deployment.smoke(**choice, on_check=say)


def _conclude(output: Output, report: SmokeReport) -> int:
    from tfs_deploy.report import terminal_table
    from tfs_deploy.smoke.results import summary

    def render(console: Console) -> None:
        console.print(terminal_table(smoke_table(report)))
        console.print(summary(report.checks), markup=False)

    output.result(report.as_dict(), render)
    first = report.first_failed
    if first is None:
        return 0
    if output.as_json:
        return VerdictError.exit_code
    raise VerdictError(f"{len(report.failed)} of {len(report.checks)} checks failed; first: {first}")


def smoke_table(report: SmokeReport) -> Table:
    """Return a table with one row per check."""
    from tfs_deploy.report import Column, Table

    columns: list[Column | str] = [
        "model",
        "asked",
        "over",
        "check",
        Column("version", "right"),
        Column("ms", "right"),
        "result",
        "",
    ]
    rows = [
        (
            *(check.model, check.target, check.transport, check.name, check.version),
            f"{check.seconds * 1000:.1f}" if check.seconds else "",
            check.outcome.value,
            check.detail,
        )
        for check in report.checks
    ]
    return Table.of(columns, rows, styles=[_COLORS.get(check.outcome.value) for check in report.checks])
