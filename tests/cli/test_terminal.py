# SPDX-License-Identifier: Apache-2.0
"""What commands show on a real terminal (a pseudo terminal of 80 columns), and when the reader of a pipe goes away."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import textwrap

import pytest

SGR = re.compile(r"\x1b\[([0-9;]*)m")
#: what would say how a terminal is to be used
UNSET = ("NO_COLOR", "COLUMNS", "LINES", "FORCE_COLOR", "CI", "TFS_DEPLOY_NO_PAGER")
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
CODE = """
import signal, sys, time, types, click
from tfs_deploy import errors
from tfs_deploy.cli import main as frame
from tfs_deploy.cli.shared import options
from tfs_deploy.cli.entry import main
@click.command
@options.common
def command(output):
{body}
module = types.ModuleType("tfs_deploy.cli.commands.probe")
module.command = command
sys.modules["tfs_deploy.cli.commands.probe"] = module
frame.COMMANDS["probe"] = "A probe."
sys.exit(main(["probe"]))
"""
TABLE = """
    from tfs_deploy.report import Column, Table, terminal_table
    output.console().print(terminal_table(Table.of([Column("verdict", verdict=True)], [["pass"], ["fail"]])))
"""
WORK = """
    with output.progress("working", 4) as bar:
        for _ in range(4):
            bar.advance()
        bar.say("worked")
"""


def command_line(body: str) -> list[str]:
    return [sys.executable, "-c", CODE.format(body=textwrap.indent(textwrap.dedent(body).strip(), "    "))]


def on_terminal(
    body: str, *, columns: int = 80, interrupt_at: str | None = None, **environment: str
) -> tuple[int, str]:
    """Run a command with stdout and stderr on a terminal; returns its exit code and everything written there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    clean = {name: value for name, value in os.environ.items() if name not in UNSET}
    process = subprocess.Popen(
        command_line(body),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={**clean, "TERM": "xterm-256color", "PAGER": "cat", **environment},
    )
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # EIO is how Linux says that nobody has the terminal open any more
        while data := os.read(ours, 4096):
            written += data
            if interrupt_at is not None and interrupt_at.encode() in written:
                interrupt_at = None
                process.send_signal(signal.SIGINT)
    os.close(ours)
    return process.wait(60), written.decode().replace("\r\n", "\n")


def screen(written: str) -> list[str]:
    """Play what was written: the lines that remain, without styles."""
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", written):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\r":
            continue
        elif part.startswith("\x1b["):
            if part.endswith("A"):
                row -= int(part[2:-1] or 1)
            elif part.endswith("K"):
                lines[row] = ""
        elif part:
            lines[row] = part if lines[row] == "" else lines[row] + part
    return [line.rstrip() for line in lines if line.strip()]


def colours(written: str) -> set[str]:
    """Every colour of a foreground or background that was asked for."""
    codes = {code for sequence in SGR.findall(written) for code in sequence.split(";")}
    return {code for code in codes if re.fullmatch(r"(3|4|9|10)[0-7]|38|48", code)}


def test_a_bar_leaves_one_line():
    code, written = on_terminal(WORK)
    assert code == 0
    assert "working" in written, "the bar was never shown"
    assert len(screen(written)) == 1
    assert re.fullmatch(r"✓ worked  \d+\.\d s", screen(written)[0])


def test_a_bar_leaves_room_for_the_echo_of_ctrl_c():
    """A line of full width would make the terminal begin a new one for ``^C``, and the bar would stay on the screen."""
    _, written = on_terminal(f"with output.progress({'long ' * 40!r}, 4) as bar:\n    time.sleep(0.3)")
    bars = [CONTROL.sub("", line) for line in re.split(r"\r|\n", written) if "0:00:" in line]
    assert bars
    assert max(map(len, bars)) <= 77


def test_an_interrupted_bar_leaves_nothing():
    code, written = on_terminal('with output.progress("working") as bar:\n    time.sleep(30)', interrupt_at="working")
    assert code == 130
    assert screen(written) == ["interrupted"]


def test_a_failed_bar_leaves_the_error():
    body = 'with output.progress("working") as bar:\n    raise errors.UsageError("it is wrong", hint="mend it")'
    code, written = on_terminal(body)
    assert code == 2
    assert screen(written) == ["error: it is wrong", "hint: mend it"]
    assert colours(written) >= {"31", "36"}


@pytest.mark.parametrize(
    "body",
    [
        WORK,
        'raise errors.UsageError("it is wrong", hint="mend it")',
        'output.warn("mind the gap")',
        TABLE,
    ],
)
def test_colour_only_on_a_terminal_that_wants_it(body):
    _, written = on_terminal(body)
    assert colours(written)
    _, written = on_terminal(body, NO_COLOR="1")
    assert not colours(written)
    piped = subprocess.run(command_line(body), capture_output=True, text=True, timeout=300)
    assert "\x1b" not in piped.stdout + piped.stderr


@pytest.mark.parametrize("body", ["click.echo('x' * 100_000)", "output.console().print('x ' * 100_000)"])
def test_a_reader_that_goes_away_is_no_error(body):
    with subprocess.Popen(command_line(body), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "the disk is full: make room"),
        (errno.EACCES, "check who owns it"),
        (errno.EIO, "check the file system"),
    ],
)
def test_a_file_that_fails_is_one_line_with_a_hint(number, hint):
    body = f"raise OSError({number}, {os.strerror(number)!r}, '/some/file')"
    result = subprocess.run(command_line(body), capture_output=True, text=True, timeout=300)
    assert result.returncode == 3
    assert result.stderr.startswith(f"error: /some/file cannot be used: {os.strerror(number)}\n\nhint: {hint}")


def test_another_character_set_is_no_error():
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    body = 'output.result({}, "├── café")\noutput.console().print("├── ✓")'
    result = subprocess.run(command_line(body), capture_output=True, timeout=300, env=environment)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout == "??? café\n??? ?\n".encode("latin-1")


@pytest.mark.parametrize("arguments", [("lint", "zoo"), ("diff", "zoo/1", "zoo/2")])
@pytest.mark.parametrize(
    ("environment", "escapes"), [({}, "colours"), ({"NO_COLOR": "1"}, "no colours"), ({"TERM": "dumb"}, "none")]
)
def test_what_is_said_of_models_is_coloured_only_where_that_is_wanted(models, arguments, environment, escapes):
    paths = [str(models / each) for each in arguments[1:]]
    _, written = on_terminal(f"sys.exit(main({[arguments[0], *paths]!r}))", **environment)
    assert str(models) in written
    assert bool(colours(written)) == (escapes == "colours")
    assert ("\x1b" in written) == (escapes != "none")


PAGER = {"PAGER": "sed s/^/paged:/", "CI": ""}
LONG = "output.result({}, 'line\\n' * 60 + 'end', to_read=True)"


@pytest.mark.parametrize(
    ("body", "environment", "paged"),
    [
        (LONG, {}, True),
        ("output.result({}, lambda console: console.print('line\\n' * 60), to_read=True)", {}, True),
        ("sys.exit(main(['rollout', 'start', '--help']))", {}, True),
        ("output.result({}, 'line', to_read=True)", {}, False),  # it fits
        ("output.result({}, 'line\\n' * 60)", {}, False),
        ("sys.exit(main(['rollout', 'start', '--help', '--no-pager']))", {}, False),
        ("sys.exit(main(['lint', '--rules', '--json']))", {}, False),
        (LONG, {"CI": "true"}, False),
        (LONG, {"TERM": "dumb"}, False),
        (LONG, {"PAGER": ""}, False),
        (LONG, {"TFS_DEPLOY_NO_PAGER": "1"}, False),
    ],
)
def test_what_is_longer_than_the_screen_and_read_from_its_beginning_is_paged(body, environment, paged):
    code, written = on_terminal(body, **{**PAGER, **environment})
    assert code == 0, written
    assert ("paged:" in written) == paged


def test_a_pager_is_given_colours_only_if_it_shows_them():
    text = "click.style('x', fg='red') + '\\n' * 60"
    body = f"output.result({{}}, {text}, to_read=True)"
    _, written = on_terminal(body, **PAGER)
    assert "paged:x" in written
    assert not colours(written)


def test_a_pipe_is_not_paged():
    environment = {**os.environ, **PAGER}
    piped = subprocess.run(command_line(LONG), capture_output=True, text=True, timeout=300, env=environment)
    assert piped.stdout.startswith("line\n")
