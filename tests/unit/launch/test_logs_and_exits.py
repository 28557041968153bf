"""The log of a server, and what the end of its process means."""

from __future__ import annotations

import os

import pytest

from tfs_deploy.launch.exit_status import exit_status, explain_exit
from tfs_deploy.launch.logs import follow, reason, tail


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


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (132, "illegal instruction"),
        (137, "memory ran out"),
        (255, "a model did not load"),
        (128 + 1, "ended by SIGHUP"),
        (128 + 100, "exit code 228"),
        (77, "exit code 77"),
        (None, "unknown"),
    ],
)
def test_exit_codes_are_explained(code, words):
    assert words in explain_exit(code)


def test_wait_statuses_become_exit_codes():
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 3"], {})
    assert exit_status(os.waitpid(pid, 0)[1]) == 3
    pid = os.posix_spawn("/bin/sh", ["sh", "-c", "kill -9 $$"], {})
    assert exit_status(os.waitpid(pid, 0)[1]) == 137
