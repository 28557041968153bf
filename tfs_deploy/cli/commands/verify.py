# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy verify``: whether a version may serve traffic."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.remote import ModelPath
from tfs_deploy.cli.line.words import deployment_file
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import CERTIFICATE, TRUST, common, make_signer, op_libraries_option, sign_option
from tfs_deploy.cli.shared.verify_options import REFERENCE, make_plan, verify_options
from tfs_deploy.errors import VerdictError

if TYPE_CHECKING:
    from rich.console import Console

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.store.signing.keys import Signer
    from tfs_deploy.verify.verification import Verification


#: the files beside the verdict
_REPORTS = ("junit.xml", "summary.md", "report.html")


@click.command(
    name="verify",
    cls=Command,
    examples=(
        "tfs-deploy verify models/digits --report verified",
        "tfs-deploy verify models/digits/2 --baseline 1 --load 1 --report verified",
    ),
    reference=REFERENCE,
)
@click.argument("path", metavar="MODEL_DIR|FILE", type=ModelPath(), shell_complete=deployment_file)
@verify_options
@option(
    "--report", type=click.Path(path_type=Path, file_okay=False), help="Write verdict and reports into this directory."
)
@TRUST
@sign_option("the verdict that --report writes")
@CERTIFICATE
@op_libraries_option
@common
def command(
    output: Output, path: Path, *, report: Path | None, sign: Path | None, certificate: Path | None, **options: Any
) -> int:
    """Verify a version before it serves traffic.

    Use it in a pipeline, between `export` and `publish`. MODEL_DIR is a version directory, a base path (its newest
    version), or a version in a store (s3://BUCKET/PREFIX@N); FILE is a deployment file (every version that it serves).
    A server is started for the checks and stopped afterwards; with --target HOST:PORT, a running server is checked
    instead. --report writes verdict.json, junit.xml, summary.md and report.html.

    Exit code 1: a check failed; the last line names the first.
    """
    from tfs_deploy.verify.run import verify

    if sign is not None and report is None:
        raise click.UsageError("--sign needs --report: the verdict that is signed.")
    signer = make_signer(sign, certificate)
    plan = make_plan(path, options)
    if report is not None:
        _make_room(report)
    rows = None if plan.data is None else plan.data.rows * len(plan.targets)
    left = _TimeLeft()
    with output.progress(f"verifying {path}", rows) as progress:
        verification = verify(
            plan,
            lambda check: progress.say(f"verifying {check.model}: {check.id} {check.about}{left}"),
            progress.advance,
            left.begin,
        )
    if report is not None:
        _write(output, verification, report, signer)
    return _conclude(output, verification)


class _TimeLeft:
    """The seconds until the requests are answered, as a part of the progress line; nothing while unknown or short."""

    def __init__(self) -> None:
        self._end = 0.0

    def begin(self, seconds: float) -> None:
        """Note that the next requests will take so many seconds."""
        self._end = time.monotonic() + seconds

    def __str__(self) -> str:
        seconds = self._end - time.monotonic()
        return f", about {seconds:.0f} s left" if seconds >= 1 else ""


def _make_room(folder: Path) -> None:
    """See that the reports can be written before anything takes time, and remove the verdict of an earlier run."""
    from tfs_deploy.atomic import require_room
    from tfs_deploy.store.signing.sign import SIGNATURE_NAME
    from tfs_deploy.store.verdict import FILE_NAME

    require_room(folder, (*_REPORTS, FILE_NAME, SIGNATURE_NAME))
    for name in (FILE_NAME, SIGNATURE_NAME):
        (folder / name).unlink(missing_ok=True)


def _write(output: Output, verification: Verification, folder: Path, signer: Signer | None) -> None:
    from tfs_deploy.atomic import write_files
    from tfs_deploy.report.junit import junit_xml
    from tfs_deploy.report.verification import verification_markdown
    from tfs_deploy.report.verification_html import verification_html
    from tfs_deploy.store.signing.sign import sign_verdict
    from tfs_deploy.store.verdict import write_verdict

    texts = dict(
        zip(
            _REPORTS,
            (junit_xml(verification), verification_markdown(verification), verification_html(verification)),
            strict=True,
        )
    )
    # the verdict after the reports: where it is, everything is that it came with
    written = [*write_files(folder, texts), write_verdict(verification.as_dict(), folder)]
    if signer is not None:
        written.append(sign_verdict(folder, signer))
    output.note(f"wrote {', '.join(str(path) for path in written)}")


def _conclude(output: Output, verification: Verification) -> int:
    output.result(verification.as_dict(), lambda console: _show(console, verification))
    if verification.ok:
        return 0
    first = verification.first_failed
    reason = f"{len(verification.failed)} of {len(verification.checks)} checks failed; first: {first}"
    if first is None:
        reason = "no check was run, so nothing was verified"
    if output.as_json:
        output.note(reason)
        return VerdictError.exit_code
    raise VerdictError(reason)


def _show(console: Console, verification: Verification) -> None:
    from tfs_deploy.report.sections import terminal_sections
    from tfs_deploy.report.verification import skipped_lines, verdict_line
    from tfs_deploy.report.verification_sections import verification_sections

    for table in terminal_sections(verification_sections(verification)):
        console.print(table)
    for line in skipped_lines(verification):
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    console.print(verdict_line(verification))
