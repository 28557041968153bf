# SPDX-License-Identifier: Apache-2.0
"""The tables of a verification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.report.tables import Column, Table
from tfs_deploy.verify.checks import GROUPS, CheckStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.verify.checks import Check
    from tfs_deploy.verify.measure.load_test_result import LoadTestResult
    from tfs_deploy.verify.verification import ValueDifference, Verification

#: rows of the table of times, and the seconds that a check in it takes at least
_MOST_TIMES: Final = 10
_SHOWN_SECONDS: Final = 0.1
_STYLES: Final = {CheckStatus.FAILED: "red", CheckStatus.SKIPPED: "yellow"}


def groups_table(verification: Verification) -> Table:
    """Return one row for each group on each target: how its checks ended, and how long they took."""
    columns: list[Column | str] = [
        *("group", "on"),
        *(Column(name, "right") for name in ("passed", "failed", "skipped", "seconds")),
        "what it checks",
    ]
    rows: list[Sequence[object]] = []
    styles: list[str | None] = []
    for group, what in GROUPS.items():
        for target in ("", *verification.targets):
            own = [check for check in verification.checks if check.group == group and check.target == target]
            if own:
                counts = [sum(check.status is status for check in own) for status in CheckStatus]
                rows.append([group, target, *counts, f"{sum(check.seconds for check in own):.2f}", what])
                styles.append("red" if counts[1] else "yellow" if not counts[0] else None)
    return Table.of(columns, rows, styles=styles)


def times_table(verification: Verification) -> Table:
    """Return one row for each check that took time, the slowest first: how often it was made, and its seconds."""
    seconds: dict[str, list[float]] = {}
    for check in verification.checks:
        seconds.setdefault(check.id, []).append(check.seconds)
    slowest = sorted(seconds.items(), key=lambda item: -sum(item[1]))[:_MOST_TIMES]
    rows = [
        (identity, len(each), f"{sum(each):.2f}", f"{max(each):.2f}")
        for identity, each in slowest
        if sum(each) >= _SHOWN_SECONDS
    ]
    right = [Column(name, "right") for name in ("made", "seconds", "slowest")]
    return Table.of(["check", *right], rows)


def checks_table(checks: Sequence[Check]) -> Table:
    """Return one row per check."""
    columns: list[Column | str] = [
        *("check", "model", "about", "on", "result"),
        Column("measured", "right"),
        Column("ms", "right"),
        "why",
    ]
    rows = [
        (
            *(check.id, check.model, check.about, check.target, check.status.value),
            value_text(check.measured, check.unit),
            f"{check.seconds * 1000:.1f}" if check.seconds else "",
            check.reason,
        )
        for check in checks
    ]
    return Table.of(columns, rows, styles=[_STYLES.get(check.status) for check in checks])


def problems_table(checks: Sequence[Check]) -> Table:
    """Return one row per failed check, short enough for a terminal."""
    rows = [(check.id, _where(check), check.reason) for check in checks]
    return Table.of(["failed check", "where", "why"], rows, styles=["red" for _ in checks])


def load_tests_table(measured: Sequence[LoadTestResult]) -> Table:
    """Return one row per load test; a dash for a quantile that had too few requests."""
    heads = ("requests", "errors", "per second", "p50 ms", "p90 ms", "p99 ms", "slowest ms", "memory MB", "CPU")
    right = [Column(name, "right") for name in heads]
    rows = [
        (
            *(each.model, each.target, each.what, len(each.latencies), each.errors, f"{each.throughput:.1f}"),
            *(_milliseconds(each.quantile(name)) for name in ("p50", "p90", "p99")),
            _milliseconds(each.percentile(100)),
            "" if each.memory is None else f"{each.memory / 1e6:.0f}",
            "" if each.cpu is None else f"{each.cpu:.2f}",
        )
        for each in measured
    ]
    return Table.of(["model", "on", "load", *right], rows)


def differences_table(differences: Sequence[ValueDifference]) -> Table:
    """Return one row for each output and pair of transports."""
    rows = [
        (
            *(each.model, each.target, each.about, each.output, each.between),
            *(f"{each.largest:.3g}", f"{each.allowed:.3g}"),
        )
        for each in differences
    ]
    right = [Column("largest difference", "right"), Column("allowed", "right")]
    return Table.of(["model", "on", "signature", "output", "between", *right], rows)


def signatures_table(verification: Verification) -> Table:
    """Return one row for each input and output of each signature, with its verdict.

    The checks are those of the signature: its first row counts the failed ones, another row tells only of a tensor that
    a reason names.
    """
    rows: list[Sequence[object]] = []
    styles: list[str | None] = []
    for model, signatures in verification.evidence.signatures.items():
        for name, signature in signatures.items():
            own = [c for c in verification.checks if c.model == model and c.about.partition(",")[0] == name]
            wrong = [check.reason for check in own if check.failed]
            verdict = "ok" if any(c.status is CheckStatus.PASSED for c in own) else "unproven"
            method = signature.method.rpartition("/")[2]
            tensors = [("input", key, spec) for key, spec in signature.inputs.items()]
            tensors += [("output", key, spec) for key, spec in signature.outputs.items()]
            for number, (side, key, spec) in enumerate(tensors):
                if wrong:
                    named = any(f"{side} '{key}'" in reason for reason in wrong)
                    verdict = f"{len(wrong)} failed" if number == 0 else "failed" if named else ""
                rows.append((model, name, method, side, key, str(spec), verdict))
                styles.append("red" if "failed" in verdict else None)
    return Table.of(["model", "signature", "method", "", "name", "dtype and shape", "verdict"], rows, styles=styles)


def value_text(measured: float | None, unit: str) -> str:
    """Return a measured value with its unit."""
    if measured is None:
        return ""
    number = f"{measured:.0f}" if abs(measured) < 1e9 and measured == round(measured) else f"{measured:.4g}"
    return f"{number} {unit.removesuffix('s') if number == '1' and len(unit) > len('ms') else unit}".strip()


def _where(check: Check) -> str:
    return ", ".join(part for part in (check.model, check.about, check.target) if part)


def _milliseconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.2f}"
