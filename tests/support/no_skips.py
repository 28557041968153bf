# SPDX-License-Identifier: Apache-2.0
"""Where TFS_DEPLOY_REQUIRE_ALL is set, as in continuous integration, a test that is skipped has failed.

A machine that lacks a program or a right would else pass with a part of the tests, and nothing would tell.
"""

from __future__ import annotations

import os
import re
from typing import TypeVar

import pytest

REQUIRED = "TFS_DEPLOY_REQUIRE_ALL"
#: what a run may leave out all the same: not asked for, or with a variable of its own, or what no package brings
MAY_SKIP = re.compile(
    r"long form: |needs root and debootstrap"  # of a long form too
    r"|no Docker Engine: |no second engine: |no Chromium is installed"
    r"|starts servers of its own: not with --tfs-address|the address names no REST port"
    r"|another user cannot read this interpreter"
    r"|no IPv6 on this machine|a process may open only \d+ files here"
    r"|this Keras takes no nested inputs"
    r"|the tests before this one were left out"
)
Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def failed_if_skipped(report: Report) -> Report:
    """Return the report, as a failure if it says that something was skipped that must not be."""
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get(REQUIRED):
        return report
    reason = report.longrepr[2].removeprefix("Skipped: ") if isinstance(report.longrepr, tuple) else report.longreprtext
    if not MAY_SKIP.match(reason):
        report.outcome = "failed"
        report.longrepr = f"{REQUIRED} is set, and this would be skipped: {reason}"
    return report
