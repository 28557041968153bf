# SPDX-License-Identifier: Apache-2.0
"""Reading the log of a server."""

from __future__ import annotations

import pytest

from tfs_deploy.launch.logs import around_reason, follow, reason, tail


def test_the_last_lines(tmp_path):
    log = tmp_path / "log"
    log.write_text("\n".join(f"line {number}" for number in range(100_000)) + "\n\n")
    assert tail(log, 2) == ["line 99998", "line 99999"]
    assert tail(log, 3, start=log.stat().st_size - 9) == ["e 99999"]
    assert tail(log, 60_000)[0] == "line 40000"
    assert len(tail(log, 200_000)) == 100_000
    assert tail(log, 0) == []
    assert tail(tmp_path / "none", 5) == []


def test_bytes_that_are_no_text_do_not_matter(tmp_path):
    (tmp_path / "log").write_bytes(b"a\xff\n")
    assert tail(tmp_path / "log", 1) == ["a\ufffd"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["I start", "error: no models (hint: x)", "I bye"], "no models"),
        (["Failed to start server. Error: INVALID_ARGUMENT: both", ""], "INVALID_ARGUMENT: both"),
        (["I start"], None),
        ([], None),
    ],
)
def test_the_line_that_says_why(lines, expected):
    assert reason(lines) == expected


def test_a_version_that_does_not_load_is_said_once_and_not_as_a_raw_status():
    why = "Read less bytes than requested [[{{function_node f}}{{node RestoreV2}}]]"
    status = (
        "UNKNOWN: 2 servable(s) did not become available: "
        f"{{{{{{name: a version: 2}} due to error: OUT_OF_RANGE: {why}}}, "
        f"{{{{name: b version: 1}} due to error: no such file}}, }}"
    )
    loading = ["I loading a version 2", "I serving c version 1"]
    log = [loading[0], f"E loading a version 2 failed: OUT_OF_RANGE: {why}", loading[1]]
    expected = f"a version 2 failed to load: {why}; b version 1 failed to load: no such file"
    for line in (f"error: the models cannot be served: {status} (hint: x)", f"Failed to start server. Error: {status}"):
        lines = [*log, line]
        assert reason(lines) == expected
        assert around_reason(lines) == loading


def test_following_a_log_gives_what_is_appended_until_the_server_ends(tmp_path):
    log = tmp_path / "log"
    log.write_text("old\n")
    states = iter([True, True, True, False, False])

    def alive() -> bool:
        now = next(states)
        if now:
            with log.open("a") as file:
                file.write("new\n")
        return now

    assert "".join(follow(log, alive=alive, pause=0.0)) == "new\nnew\nnew\n"
