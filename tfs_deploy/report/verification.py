# SPDX-License-Identifier: Apache-2.0
"""A verification for the terminal and as Markdown for a pull request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.report.sections import markdown_sections
from tfs_deploy.report.tables import markdown_text
from tfs_deploy.report.verification_sections import verification_sections
from tfs_deploy.text import counted
from tfs_deploy.verify.checks import CheckStatus

if TYPE_CHECKING:
    from tfs_deploy.verify.checks import Check
    from tfs_deploy.verify.verification import Verification


def verdict_line(verification: Verification) -> str:
    """Return in one line how a verification ended."""
    counts = ", ".join(f"{verification.count(status)} {status.value}" for status in CheckStatus)
    word = "yes" if verification.ok else "no"
    return f"Verdict: {word}. {counted(len(verification.checks), 'check')} in {verification.seconds:.1f} s: {counts}"


def skipped_lines(verification: Verification) -> list[str]:
    """Return a line for each check that was skipped, with the reason: one that was skipped for several is told once."""
    found: dict[tuple[str, str], list[Check]] = {}
    for check in verification.checks:
        if check.status is CheckStatus.SKIPPED:
            found.setdefault((check.id, check.reason), []).append(check)
    return [
        f"skipped: {each[0]}" if len(each) == 1 else f"skipped: {identity} ({len(each)} times): {reason}"
        for (identity, reason), each in found.items()
    ]


def verification_markdown(verification: Verification, *, title: str = "") -> str:
    """Return a verification as a section of a Markdown page, as a pull request shows it."""
    names = ", ".join(str(subject) for subject in verification.subjects)
    identities = zip(verification.subjects, verification.identities, strict=True)
    lines = [
        f"## {markdown_text(title or f'Verification of {names}')}",
        "",
        f"{verdict_line(verification)}.",
        "",
        *markdown_sections(verification_sections(verification)),
        "",
        *(f"- {markdown_text(str(subject))}: {identity or 'cannot be read'}" for subject, identity in identities),
    ]
    return "\n".join(lines).rstrip() + "\n"
