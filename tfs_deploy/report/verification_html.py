# SPDX-License-Identifier: Apache-2.0
"""A verification as one HTML page without scripts, other files or network access."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tfs_deploy.report.html_page import html_page
from tfs_deploy.report.sections import html_sections
from tfs_deploy.report.verification import verdict_line
from tfs_deploy.report.verification_sections import verification_sections
from tfs_deploy.verify.checks import CheckStatus

if TYPE_CHECKING:
    from tfs_deploy.verify.verification import Verification


def verification_html(verification: Verification) -> str:
    """Return a verification as a page: verdict, what failed, charts, signatures, every check."""
    names = ", ".join(str(subject) for subject in verification.subjects)
    title = f"Verification of {names}"
    parts = [
        f"<header><h1>{escape(title)}</h1>",
        f'<p class="key">{escape(_facts(verification))}</p></header>',
        _verdict(verification),
        _tiles(verification),
        *html_sections(verification_sections(verification)),
    ]
    return html_page(title, parts, footer="tfs-deploy verification report")


def _verdict(verification: Verification) -> str:
    """Return the verdict, and the reason for a no."""
    if verification.ok:
        status, headline, why = "done", "Yes, it may serve traffic", ""
    else:
        first = verification.first_failed
        status, headline = "rolled-back", f"No: {first.id}" if first is not None else "No"
        why = first.reason if first is not None else "no check was run, so nothing was verified"
    lines = [
        f"<b>{escape(headline)}</b>",
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
    """Return the few numbers that readers look for first."""
    tiles = [(str(verification.count(status)), f"checks {status.value}", status) for status in CheckStatus]
    shown = [
        f'<div class="tile{" bad" if status is CheckStatus.FAILED and number != "0" else ""}">'
        f"<b>{number}</b><span>{text}</span></div>"
        for number, text, status in tiles
    ]
    for measured in verification.evidence.load_tests[:1]:
        name = next((name for name in ("p99", "p95", "p90", "p50") if measured.quantile(name) is not None), None)
        if name is not None:
            seconds = measured.quantile(name) or 0.0
            shown.append(f'<div class="tile"><b>{1000 * seconds:.1f} ms</b><span>{name} under load</span></div>')
        shown.append(f'<div class="tile"><b>{measured.throughput:.0f}</b><span>answers per second</span></div>')
    return f'<div class="tiles">{"".join(shown)}</div>'
