"""``tfs-deploy verify``: may this version be served?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.options import common
from tfs_deploy.errors import VerdictError

if TYPE_CHECKING:
    from rich.console import Console

    from tfs_deploy.cli.output import Output
    from tfs_deploy.verify.result import Verification
    from tfs_deploy.verify.run import Plan

_EPILOG = """\b
Groups of checks, in their order; --skip takes a group or one check:
  files load smoke parity behaviour refusals data load-test
"""
_SECONDS = click.FloatRange(min=0.1)


@click.command(name="verify", epilog=_EPILOG)
@click.argument("path", metavar="MODEL_DIR|FILE", type=click.Path(path_type=Path))
@click.option("--target", metavar="WHERE", help="embedded, docker, or HOST:PORT[/RESTPORT].  [default: as in FILE]")
@click.option("--image", "images", multiple=True, metavar="TAG", help="A container image; several in turn.")
@click.option("--baseline", metavar="VERSION", help="The version to compare with: a number beside it, or a path.")
@click.option("--model", "name", metavar="NAME", help="The model of FILE, or the name to serve MODEL_DIR under.")
@click.option("--skip", "skips", multiple=True, metavar="CHECK", help="Leave out a check or a group; may be repeated.")
@click.option("--ignore", metavar="RULES", default="", help="Lint rules to leave out, with commas.")
@click.option("--timeout", type=_SECONDS, default=10.0, show_default=True, help="Seconds an answer may take.")
@click.option("--load-timeout", type=_SECONDS, help="Seconds the load may take.  [default: 45 and more for big ones]")
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), help="Write verdict and reports there.")
@common
def command(output: Output, path: Path, *, report: Path | None, **options: Any) -> int:
    """Say yes or no to a version before it serves anybody.

    MODEL_DIR is a version directory or a base path (its newest version), FILE a deployment file (every version that it
    serves). A server is started for it and stopped again; a running one is asked with --target HOST:PORT. The exit
    code is 1 when a check fails; the last line names the first one. --report DIR writes verdict.json, junit.xml,
    summary.md and report.html.
    """
    from tfs_deploy.verify.run import verify

    plan = _plan(path, **options)
    with output.progress(f"verifying {path}") as progress:
        verification = verify(plan, lambda check: progress.say(f"verifying {check.model}: {check.id} {check.about}"))
    if report is not None:
        _write(output, verification, report)
    return _conclude(output, verification)


def _plan(
    path: Path,
    *,
    target: str | None,
    images: tuple[str, ...],
    baseline: str | None,
    name: str | None,
    skips: tuple[str, ...],
    ignore: str,
    **limits: Any,
) -> Plan:
    from tfs_deploy.savedmodel.lint import select_rules
    from tfs_deploy.spec import load_deployment
    from tfs_deploy.verify.checks import check_known
    from tfs_deploy.verify.run import Plan
    from tfs_deploy.verify.serving import targets_of
    from tfs_deploy.verify.subjects import FILES, subjects_of_deployment, subjects_of_directory

    ignored = tuple(rule.strip() for rule in ignore.split(",") if rule.strip())
    select_rules((), ignored)
    if path.suffix in FILES:
        deployment = load_deployment(path)
        subjects = subjects_of_deployment(deployment, name=name, baseline=baseline)
    else:
        deployment = None
        subjects = subjects_of_directory(path, name=name, baseline=baseline)
    targets = targets_of(target, images, deployment)
    left_out = check_known(skips)
    return Plan(tuple(subjects), tuple(targets), deployment, left_out=left_out, ignore=ignored, **limits)


def _write(output: Output, verification: Verification, folder: Path) -> None:
    from tfs_deploy.config.atomic import write_files
    from tfs_deploy.report.junit import junit_xml
    from tfs_deploy.report.verification import verification_markdown
    from tfs_deploy.verify.verdict import write_verdict

    written = write_files(
        folder, {"junit.xml": junit_xml(verification), "summary.md": verification_markdown(verification)}
    )
    written.append(write_verdict(verification.as_dict(), folder))
    output.note(f"wrote {', '.join(str(path) for path in written)}")


def _conclude(output: Output, verification: Verification) -> int:
    output.result(verification.as_dict(), lambda console: _show(console, verification))
    if verification.ok:
        return 0
    first = verification.first_failed
    reason = f"{len(verification.failed)} of {len(verification.checks)} checks failed; first: {first}"
    if first is None:
        reason = "no check was made, so nothing was proven"
    if output.as_json:
        output.note(reason)
        return VerdictError.exit_code
    raise VerdictError(reason)


def _show(console: Console, verification: Verification) -> None:
    from tfs_deploy.report.tables import terminal_table
    from tfs_deploy.report.verification import groups_table, measured_table, problems_table, verdict_line

    console.print(terminal_table(groups_table(verification)))
    if verification.evidence.measured:
        console.print(terminal_table(measured_table(verification.evidence.measured)))
    if verification.failed:
        console.print(terminal_table(problems_table(verification.failed)))
    console.print(verdict_line(verification))
