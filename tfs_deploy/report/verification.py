"""A verification as tables and as Markdown for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.report.tables import Column, Table, markdown_table
from tfs_deploy.verify.checks import GROUPS, Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.verify.checks import Check
    from tfs_deploy.verify.measure.measurements import Measured
    from tfs_deploy.verify.verification import Difference, Verification

_STYLES: Final = {Status.FAILED: "red", Status.SKIPPED: "yellow"}
#: rows of a Markdown table; a pull request is no place for hundreds
_MOST: Final = 30


def verdict_line(verification: Verification) -> str:
    """Say in one line how a verification ended."""
    counts = ", ".join(f"{verification.count(status)} {status.value}" for status in Status)
    word = "yes" if verification.ok else "no"
    return f"Verdict: {word}. {len(verification.checks)} checks in {verification.seconds:.1f} s: {counts}"


def groups_table(verification: Verification) -> Table:
    """Return one row for each group on each target: how its checks ended, and how long they took."""
    columns: list[Column | str] = [
        *("group", "on"),
        *(Column(name, "right") for name in ("passed", "failed", "skipped", "seconds")),
        "what it asks",
    ]
    rows: list[Sequence[object]] = []
    styles: list[str | None] = []
    for group, what in GROUPS.items():
        for target in ("", *verification.targets):
            own = [check for check in verification.checks if check.group == group and check.target == target]
            if own:
                counts = [sum(check.status is status for check in own) for status in Status]
                rows.append([group, target, *counts, f"{sum(check.seconds for check in own):.2f}", what])
                styles.append("red" if counts[1] else "yellow" if not counts[0] else None)
    return Table.of(columns, rows, styles=styles)


def checks_table(checks: Sequence[Check]) -> Table:
    """Return one row a check."""
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
    """Return one row a check that failed, short enough for a terminal."""
    rows = [(check.id, _where(check), check.reason) for check in checks]
    return Table.of(["failed check", "where", "why"], rows, styles=["red" for _ in checks])


def measured_table(measured: Sequence[Measured]) -> Table:
    """Return one row a load test."""
    right = [
        Column(name, "right")
        for name in ("requests", "errors", "per second", "p50 ms", "p90 ms", "p99 ms", "memory MB", "CPU")
    ]
    rows = [
        (
            *(each.model, each.target, each.what, len(each.latencies), each.errors, f"{each.throughput:.1f}"),
            *(_milliseconds(each.percentile(percent)) for percent in (50, 90, 99)),
            "" if each.memory is None else f"{each.memory / 1e6:.0f}",
            "" if each.cpu is None else f"{each.cpu:.2f}",
        )
        for each in measured
    ]
    return Table.of(["model", "on", "load", *right], rows)


def differences_table(differences: Sequence[Difference]) -> Table:
    """Return one row for each output and pair of ways to ask for it."""
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
    """Return one row for each input and output of each signature, and how many of its checks failed."""
    rows = []
    styles = []
    for model, signatures in verification.evidence.signatures.items():
        for name, signature in signatures.items():
            own = [c for c in verification.checks if c.model == model and c.about.partition(",")[0] == name]
            wrong = sum(check.failed for check in own)
            verdict = (
                f"{wrong} failed" if wrong else "ok" if any(c.status is Status.PASSED for c in own) else "unproven"
            )
            for side, specs in (("input", signature.inputs), ("output", signature.outputs)):
                for key, spec in specs.items():
                    rows.append((model, name, signature.method.rpartition("/")[2], side, key, str(spec), verdict))
                    styles.append("red" if wrong else None)
    return Table.of(["model", "signature", "method", "", "name", "dtype and shape", "verdict"], rows, styles=styles)


def verification_markdown(verification: Verification, *, title: str = "") -> str:
    """Write a verification as a section of a Markdown page, as a pull request shows it."""
    names = ", ".join(str(subject) for subject in verification.subjects)
    lines = [f"## {title or f'Verification of {names}'}", "", f"{verdict_line(verification)}.", ""]
    failed = verification.failed
    if failed:
        lines += [markdown_table(checks_table(failed[:_MOST]))]
        lines += [f"and {len(failed) - _MOST} more failed", ""] if len(failed) > _MOST else []
    lines += [markdown_table(groups_table(verification))]
    if verification.evidence.measured:
        lines += [markdown_table(measured_table(verification.evidence.measured))]
    skipped = [check for check in verification.checks if check.status is Status.SKIPPED]
    if skipped:
        shown = checks_table(skipped[:_MOST])
        more = f"\nand {len(skipped) - _MOST} more\n" if len(skipped) > _MOST else ""
        lines += [
            f"<details><summary>{len(skipped)} checks were skipped</summary>\n",
            markdown_table(shown) + more,
            "</details>",
        ]
    identities = zip(verification.subjects, verification.identities, strict=True)
    lines += ["", *(f"- {subject}: {identity or 'cannot be read'}" for subject, identity in identities)]
    return "\n".join(lines).rstrip() + "\n"


def value_text(measured: float | None, unit: str) -> str:
    """Write a measured value with its unit."""
    if measured is None:
        return ""
    number = f"{measured:.0f}" if abs(measured) < 1e9 and measured == round(measured) else f"{measured:.4g}"
    return f"{number} {unit.removesuffix('s') if number == '1' and len(unit) > len('ms') else unit}".strip()


def _where(check: Check) -> str:
    return ", ".join(part for part in (check.model, check.about, check.target) if part)


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.2f}"
