# SPDX-License-Identifier: Apache-2.0
"""The rounds of ``smoke``: one, or one at each interval, and the metrics file that each round writes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from tfs_deploy.cli.shared.output import styled
from tfs_deploy.errors import TfsDeployError, UsageError, VerdictError
from tfs_deploy.smoke import SmokeReport
from tfs_deploy.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tfs_deploy.cli.shared.output import Output


@dataclass(frozen=True, slots=True)
class Round:
    """The result of one round; ``error`` is why it could not be made, ``ended`` is in Unix time."""

    report: SmokeReport
    ended: float
    error: TfsDeployError | None = None

    @property
    def ok(self) -> bool:
        """Whether at least one check was made and none failed."""
        return self.error is None and self.report.ok

    @property
    def exit_code(self) -> int:
        """The exit code of a command that makes this one round."""
        if self.error is not None:
            return self.error.exit_code
        return VerdictError.exit_code if self.report.failed else 0

    @property
    def when(self) -> str:
        """When it ended, in UTC."""
        return datetime.fromtimestamp(self.ended, timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")

    def line(self) -> str:
        """Return it as one line for people."""
        if self.error is not None:
            return f"{self.when} {styled('failed', fg='red')} {' '.join(self.error.message.split())}"
        report = self.report
        if report.first_failed is not None:
            counts = f"{len(report.failed)} of {len(report.checks)} checks"
            first = one_line(str(report.first_failed))
            return f"{self.when} {styled('failed', fg='red')} {counts}; first: {first}"
        slowest = max((check.seconds for check in report.checks), default=0.0)
        skipped = sum(check.outcome.value == "skipped" for check in report.checks)
        more = f", {skipped} skipped" if skipped else ""
        return (
            f"{self.when} {styled('ok', fg='green')} {len(report.checks)} checks{more}, slowest {slowest * 1e3:.1f} ms"
        )

    def document(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        error = None if self.error is None else {"message": self.error.message, "hint": self.error.hint}
        return {"at": self.when, **self.report.as_dict(), "ok": self.ok, "error": error}


def one_round(ask: Callable[[], SmokeReport]) -> Round:
    """Make one round and return its result, with the error that kept it from being made.

    Raises:
        UsageError: the options name something that the deployment does not have.
    """
    try:
        return Round(ask(), time.time())
    except UsageError:
        raise
    except TfsDeployError as error:
        return Round(SmokeReport(), time.time(), error)


def watch(
    output: Output,
    ask: Callable[[], SmokeReport],
    *,
    interval: float,
    rounds: int | None,
    record: Callable[[Round], None],
) -> int:
    """Make rounds ``interval`` seconds apart, from start to start, one line each; return the last one's exit code.

    Ends after ``rounds`` rounds, None: never. A label that goes away while it is watched (a rollout has ended) is a
    failed round; one that was never there is the caller's mistake.
    """
    done = 0
    while True:
        started = time.monotonic()
        try:
            found = one_round(ask)
        except UsageError as error:
            if not done:
                raise
            found = Round(SmokeReport(), time.time(), error)
        record(found)
        output.line(found.document(), found.line())
        done += 1
        if done == rounds:
            return found.exit_code
        time.sleep(max(0.0, interval - (time.monotonic() - started)))


def recorder(deployment: str, path: Path | None) -> Callable[[Round], None]:
    """Return the function that writes the metrics of a round into ``path``, replaced whole and readable by all users.

    Raises ``UsageError`` for a name that node_exporter would ignore, ``EnvironmentFault`` for a place that cannot be
    written.
    """
    from tfs_deploy.atomic import require_room, write_files
    from tfs_deploy.report.textfile import SUFFIX, smoke_textfile

    if path is not None and path.suffix != SUFFIX:
        raise UsageError(
            f"{path} would be ignored: the textfile collector reads only *{SUFFIX}",
            hint=f"--textfile {path.with_suffix(SUFFIX)}",
        )

    if path is not None:
        require_room(path.parent, [path.name])

    def record(found: Round) -> None:
        if path is not None:
            text = smoke_textfile(deployment, found.report.checks, ok=found.ok, now=found.ended)
            write_files(path.parent, {path.name: text}, modes={path.name: 0o644})

    return record
