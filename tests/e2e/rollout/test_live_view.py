# SPDX-License-Identifier: Apache-2.0
"""``rollout status --watch`` on a real terminal: redrawn in place while a rollout goes on, and over when it is."""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable

import pytest

from support.live import until

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def watch(file, awaited: str, then: Callable[[], object]) -> tuple[str, int]:
    """Run the live view on a terminal; ``then`` is called once it has shown ``awaited``."""
    return on_terminal(["rollout", "status", str(file), "--watch"], awaited, then)


def on_terminal(words: list[str], awaited: str = "", then: Callable[[], object] = lambda: None) -> tuple[str, int]:
    """Run a command on a terminal of 100 columns; return all that it wrote, and its exit code."""
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    command = [sys.executable, "-m", "tfs_deploy", *words]
    environment = {**os.environ, "TERM": "xterm-256color"}
    view = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    written, called, end = b"", False, time.monotonic() + 60
    try:
        while time.monotonic() < end:
            try:
                data = os.read(ours, 1 << 16)
            except OSError:  # the last one who wrote to the terminal has closed it
                break
            if not data:
                break
            written += data
            if not called and awaited.encode() in written:
                called = True
                then()
        return written.decode(), view.wait(100)
    finally:
        view.kill()
        os.close(ours)


@pytest.fixture
def rolling(zoo):
    """A rollout in a process of its own whose canary has traffic."""
    options = ["--to", "2", "--steps", "25,100", "--bake", "60s", "--check-every", "300ms"]
    command = [sys.executable, "-m", "tfs_deploy", "rollout", "start", str(zoo.file), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: '"canary"' in zoo.traffic_path.read_text())
    yield process
    process.kill()
    process.wait()


def test_a_terminal_shows_phase_traffic_and_verdicts_and_ends_with_the_rollout(zoo, rolling, cli):
    def skip() -> None:
        assert cli("rollout", "promote", zoo.file, "--skip-steps").returncode == 0

    written, code = watch(zoo.file, "25 % canary, 75 % stable", skip)

    assert (code, rolling.wait(100)) == (0, 0)
    assert "\x1b[1A" in written or "\x1b[2K" in written  # lines were redrawn in place
    assert "\x1b[?25l" in written  # the cursor is hidden while that goes on
    assert written.rindex("\x1b[?25h") > written.rindex("\x1b[?25l")  # and comes back
    text = ESCAPES.sub("", written)
    assert re.search(r"zoo: version 1 to 2, canary, \d+ s; 25 % for \d+ s", text)
    assert "traffic: 25 % canary, 75 % stable" in text
    assert f"process {rolling.pid}" in text
    assert "Traceback" not in text
    last = text[text.rindex("zoo: version 1 to 2: Done after") :]
    assert re.search(r"25 +\d+\.\d +pass", last), last


def test_a_bake_is_not_silent_on_a_terminal(zoo, consumers):
    """The last line shows the step, requests, errors and the time left, and leaves nothing behind."""
    with consumers(zoo, 2, pause=0.003):
        options = ["--to", "2", "--steps", "100", "--bake", "3s"]
        written, code = on_terminal(["rollout", "start", str(zoo.file), *options])

    assert code == 0, written
    lines = re.findall(
        r"step 1 of 1, 100 %: canary ([\d,]+) requests, 0 failed; all [\d,]+, 0 failed; (\d) s left", written
    )
    assert len({requests for requests, _ in lines}) > 1
    assert len({left for _, left in lines}) > 1
    whole = ESCAPES.sub("", written.replace("\r\x1b[2K", "\n"))
    assert "\n100 % of the traffic goes to canary\r\n" in whole
