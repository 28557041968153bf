# SPDX-License-Identifier: Apache-2.0
"""How the findings of lint are judged."""

from __future__ import annotations

import pytest

from tfs_deploy.savedmodel.lint import Finding, Severity
from tfs_deploy.savedmodel.review import of_findings
from tfs_deploy.verify.checks import CheckStatus
from tfs_deploy.verify.groups.files import judge_lint


@pytest.mark.parametrize(
    ("found", "status"),
    [
        ([("TFS202", Severity.ERROR)], CheckStatus.FAILED),
        ([("TFS111", Severity.ERROR)], CheckStatus.PASSED),  # whether Classify answers is asked
        ([("TFS111", Severity.ERROR), ("TFS202", Severity.ERROR)], CheckStatus.FAILED),
        ([("TFS110", Severity.WARNING)], CheckStatus.PASSED),
        ([], CheckStatus.PASSED),
    ],
)
def test_lint_errors_fail_but_for_those_that_the_server_is_asked_about(found, status):
    findings = [Finding(rule, "name", severity, "", "message", "hint") for rule, severity in found]
    judgement = judge_lint(of_findings(findings))
    assert judgement.status is status
    assert all(rule in judgement.reason for rule, _ in found[-1:])
