# SPDX-License-Identifier: Apache-2.0
"""A verification as JUnit XML, which CI services show as tests: a suite per model and target, a case per check."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape, quoteattr

from tfs_deploy.verify.checks import Check, CheckStatus

if TYPE_CHECKING:
    from tfs_deploy.verify.verification import Verification

#: characters that XML 1.0 forbids
_FORBIDDEN: Final = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_xml(verification: Verification) -> str:
    """Return the checks as test cases; failed and skipped ones carry their reasons."""
    suites: dict[tuple[str, str], list[Check]] = {}
    for check in verification.checks:
        suites.setdefault((check.model, check.target), []).append(check)
    parts = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites {_totals('tfs-deploy verify', verification.checks)}>",
    ]
    for (model, target), checks in suites.items():
        name = f"{model} on {target}" if target else model
        parts.append(f"  <testsuite {_totals(name, checks)} timestamp={_attribute(verification.created_at)}>")
        parts += [_case(check) for check in checks]
        parts.append("  </testsuite>")
    return "\n".join([*parts, "</testsuites>", ""])


def _totals(name: str, checks: tuple[Check, ...] | list[Check]) -> str:
    counts = {status: sum(check.status is status for check in checks) for status in CheckStatus}
    return (
        f'name={_attribute(name)} tests="{len(checks)}" failures="{counts[CheckStatus.FAILED]}" errors="0" '
        f'skipped="{counts[CheckStatus.SKIPPED]}" time="{sum(check.seconds for check in checks):.3f}"'
    )


def _case(check: Check) -> str:
    name = f"{check.id} [{check.about}]" if check.about else check.id
    where = ".".join(part.replace(".", "_").replace(" ", "-") for part in ("verify", check.model, check.target) if part)
    head = f'    <testcase name={_attribute(name)} classname={_attribute(where)} time="{check.seconds:.3f}"'
    if check.status is CheckStatus.FAILED:
        return f"{head}><failure message={_attribute(check.reason)}>{escape(_clean(str(check)))}</failure></testcase>"
    if check.status is CheckStatus.SKIPPED:
        return f"{head}><skipped message={_attribute(check.reason)}/></testcase>"
    return f"{head}/>"


def _attribute(text: str) -> str:
    return quoteattr(_clean(text))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text)
