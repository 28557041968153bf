"""A verification as one HTML page that needs no other file, no script and no network."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final

from tfs_deploy.report.page import html_page, html_table
from tfs_deploy.report.plots import Against, Sample, histogram, limits_chart
from tfs_deploy.report.verification import (
    checks_table,
    differences_table,
    groups_table,
    measured_table,
    signatures_table,
    verdict_line,
)
from tfs_deploy.verify.checks import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tfs_deploy.verify.checks import Check
    from tfs_deploy.verify.measure.measurements import Measured
    from tfs_deploy.verify.verification import Difference, Verification

#: bars of one plot; what is not drawn stands in the table
_MOST_BARS: Final = 24
_MARKS: Final = ((50, "p50"), (99, "p99"))


def verification_html(verification: Verification) -> str:
    """Write a verification as a page: verdict, what failed, plots, signatures, every check."""
    names = ", ".join(str(subject) for subject in verification.subjects)
    title = f"Verification of {names}"
    parts = [
        f"<header><h1>{escape(title)}</h1>",
        f'<p class="key">{escape(_facts(verification))}</p></header>',
        _verdict(verification),
        _tiles(verification),
        *_sections(verification),
    ]
    return html_page(title, parts, footer="tfs-deploy verification report")


def _verdict(verification: Verification) -> str:
    """Say yes or no, and the reason for a no."""
    if verification.ok:
        status, said, why = "done", "Yes, it may serve", ""
    else:
        first = verification.first_failed
        status, said = "rolled-back", f"No: {first.id}" if first is not None else "No"
        why = first.reason if first is not None else "no check was made, so nothing was proven"
    lines = [
        f"<b>{escape(said)}</b>",
        f"<p>{escape(why)}</p>" if why else "",
        f"<span>{escape(verdict_line(verification))}</span>",
    ]
    return f'<section class="verdict {status}">{"".join(lines)}</section>'


def _facts(verification: Verification) -> str:
    pairs = zip(verification.subjects, verification.identities, strict=True)
    digests = "; ".join(f"{subject}: {identity or 'cannot be read'}" for subject, identity in pairs)
    return f"{_moment(verification.created_at)}, on {', '.join(verification.targets)}; {digests}"


def _moment(created_at: str) -> str:
    return created_at.replace("T", " ").replace("+00:00", " UTC")


def _tiles(verification: Verification) -> str:
    """Return the few numbers that people look for first."""
    tiles = [(str(verification.count(status)), f"checks {status.value}", status) for status in Status]
    shown = [
        f'<div class="tile{" bad" if status is Status.FAILED and number != "0" else ""}">'
        f"<b>{number}</b><span>{text}</span></div>"
        for number, text, status in tiles
    ]
    for measured in verification.evidence.measured[:1]:
        p99 = measured.percentile(99)
        if p99 is not None:
            shown.append(f'<div class="tile"><b>{1000 * p99:.1f} ms</b><span>p99 under load</span></div>')
        shown.append(f'<div class="tile"><b>{measured.throughput:.0f}</b><span>answers a second</span></div>')
    return f'<div class="tiles">{"".join(shown)}</div>'


def _sections(verification: Verification) -> Iterator[str]:
    evidence = verification.evidence
    if verification.failed:
        yield _section("What failed", _findings(verification.failed))
    yield _section("Groups of checks", html_table(groups_table(verification), stacks=True))
    if evidence.measured:
        plot = _latencies(evidence.measured)
        yield _section("Latency distribution", plot + html_table(measured_table(evidence.measured), stacks=True))
    if evidence.differences:
        details = _details(
            f"all {len(evidence.differences)}", html_table(differences_table(evidence.differences), stacks=True)
        )
        yield _section("Value differences", _differences(evidence.differences) + details)
    if evidence.signatures:
        yield _section("Signatures", html_table(signatures_table(verification), stacks=True))
    every = html_table(checks_table(verification.checks), stacks=True)
    yield _section("Every check", _details(f"{len(verification.checks)} checks", every))


def _findings(checks: Sequence[Check]) -> str:
    """List what failed: the check, where, and why in full."""
    items = []
    for check in checks:
        where = ", ".join(part for part in (check.model, check.about, check.target) if part)
        place = f'<span class="key">{escape(where)}</span>'
        items.append(f"<li><b>{escape(check.id)}</b>{place}<p>{escape(check.reason)}</p></li>")
    return f'<ul class="findings">{"".join(items)}</ul>'


def _latencies(measured: Sequence[Measured]) -> str:
    styles = ("old", "new", "plain")
    samples = [
        Sample(f"{each.model} on {each.target}, {each.what}", styles[number % 3], [1000 * s for s in each.latencies])
        for number, each in enumerate(measured[:3])
    ]
    first = measured[0]
    marks = [(name, 1000 * value) for percent, name in _MARKS if (value := first.percentile(percent)) is not None]
    key = "".join(f'<b class="{sample.style}">&#9632;</b> {escape(sample.name)} ' for sample in samples)
    return f'<p class="key">{key}</p>\n' + _plot(histogram("Latency distribution", " ms", samples, marks=marks))


def _differences(differences: Sequence[Difference]) -> str:
    """Draw the outputs that come closest to what is allowed, or beyond it."""
    worst = sorted(differences, key=lambda each: each.largest / each.allowed if each.allowed else 0, reverse=True)
    rows = [
        Against(f"{each.about}: {each.output} ({each.between})", each.largest, each.allowed)
        for each in worst[:_MOST_BARS]
    ]
    key = "largest difference of each output between two ways to ask; the line is what is allowed"
    return f'<p class="key">{key}</p>\n' + _plot(limits_chart("Value differences", rows))


def _plot(svg: str) -> str:
    return f'<div class="plot">{svg}</div>'


def _section(name: str, inner: str) -> str:
    return f"<section><h2>{escape(name)}</h2>\n{inner}</section>"


def _details(summary: str, inner: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{inner}</details>"
