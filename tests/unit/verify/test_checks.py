# SPDX-License-Identifier: Apache-2.0
"""Checks: made, recorded, excluded, written as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfs_deploy.errors import InternalError, UsageError
from tfs_deploy.verify import groups
from tfs_deploy.verify.checks import GROUPS, Check, Checker, CheckStatus, excluded_checks, failed, passed


def test_a_checker_turns_answers_into_checks_and_leaves_out_what_it_is_told():
    made: list[Check] = []
    checker = Checker(made.append, "m 1", "embedded", frozenset({"smoke.b", "load"}))

    def refused():
        raise InternalError("broken\nover two lines")

    def wrong():
        raise UsageError("no such thing")

    checker.check("smoke.a", "", refused)
    checker.check("smoke.b", "", refused)
    checker.record("load.served", "", failed("no"))
    checker.check("smoke.c", "s", lambda: passed("yes", 2, "rows"))
    assert [(check.id, check.status.value, check.reason) for check in made] == [
        ("smoke.a", "failed", "broken over two lines"),
        ("smoke.c", "passed", "yes"),
    ]
    with pytest.raises(UsageError):
        checker.check("smoke.d", "", wrong)


def test_a_check_is_json_whatever_it_measured():
    check = Check("data.metric", "m 1", "", "embedded", CheckStatus.FAILED, "no", float("nan"))
    assert check.as_dict()["measured"] is None


def test_checks_are_left_out_by_group_and_id():
    assert excluded_checks(["smoke.recorded", "load"]) == {"smoke.recorded", "load"}
    assert "files" not in excluded_checks([], ["files"])
    assert {"load", "smoke"} <= excluded_checks([], ["files"])
    with pytest.raises(UsageError) as caught:
        excluded_checks(["smok"])
    assert caught.value.hint == "did you mean 'smoke'?"


def test_each_group_is_a_file_of_its_name_and_the_files_are_parts_of_groups():
    files = {path.stem for path in Path(groups.__file__).parent.glob("[a-z]*.py")}
    names = {group.replace("-", "_") for group in GROUPS}
    assert names <= files
    assert [file for file in files if not file.startswith(tuple(names))] == []
