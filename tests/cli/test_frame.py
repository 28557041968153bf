# SPDX-License-Identifier: Apache-2.0
"""The command frame: help, misspelt commands, missing extras, interrupts, output modes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap

import pytest

from tfs_deploy.cli.main import COMMANDS
from tfs_deploy.errors import UsageError


def cli(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tfs_deploy", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300)


def test_help_lists_every_command_without_importing_one():
    result = run_python(
        """
        import sys
        from tfs_deploy.cli.entry import main
        assert main(["--help"]) == 0
        heavy = {"tensorflow", "numpy", "grpc", "pydantic", "yaml", "rich", "httpx"} & set(sys.modules)
        assert not heavy, heavy
        """
    )
    assert result.returncode == 0, result.stderr
    for name in COMMANDS:
        assert re.search(rf"^  {name} +\S", result.stdout, re.MULTILINE), name


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command):
    result = cli(command, "--help")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"Usage: tfs-deploy {command}")


def test_misspelt_command_names_the_nearest():
    result = cli("rolout")
    assert result.returncode == 2
    assert "Did you mean 'rollout'?" in result.stderr
    assert result.stdout == ""


def test_version():
    assert re.fullmatch(r"tfs-deploy, version \d+\.\d+\.\d+\n", cli("--version").stdout)


def test_without_click_it_says_what_to_install():
    result = run_python(
        """
        import sys
        sys.modules["click"] = None
        from tfs_deploy.cli.entry import main
        sys.exit(main(["--help"]))
        """
    )
    assert result.returncode == 3
    assert result.stderr == "error: click is not installed\n\nhint: pip install 'tf-serving-deploy[cli]'\n"


@pytest.mark.parametrize(
    ("blocked", "command", "extra"),
    [
        ("tensorflow", ["serve", "--rest_api_port=0", "--model_base_path=/nowhere"], "server"),
        ("yaml", ["config", "configs/digits.yaml"], "cli"),
        ("httpx", ["predict", "localhost:1", "m", "--rest", "--input", "x=1"], "rest"),
        ("tensorflow", ["demo"], "demo"),
    ],
)
def test_a_missing_extra_is_one_line(blocked, command, extra):
    result = run_python(
        f"""
        import sys
        sys.modules[{blocked!r}] = None
        from tfs_deploy.cli.entry import main
        sys.exit(main({command!r}))
        """
    )
    assert result.returncode == 3, result.stderr
    assert "Traceback" not in result.stderr
    assert f"hint: pip install 'tf-serving-deploy[{extra}]'" in result.stderr


def with_command(body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a made-up command through the whole frame."""
    return run_python(
        f"""
        import sys, types, click
        from tfs_deploy.cli import main as frame
        from tfs_deploy.cli.shared import options
        from tfs_deploy.cli.entry import main
        from tfs_deploy import errors
        @click.command
        @options.common
        def command(output):
            {body}
        module = types.ModuleType("tfs_deploy.cli.commands.probe")
        module.command = command
        sys.modules["tfs_deploy.cli.commands.probe"] = module
        frame.COMMANDS["probe"] = "A probe."
        sys.exit(main(["probe", *{list(arguments)!r}]))
        """
    )


def test_error_goes_to_stderr_with_its_hint_and_code():
    result = with_command("raise errors.UsageError('it is wrong', hint='mend it')")
    assert (result.returncode, result.stdout) == (UsageError.exit_code, "")
    assert result.stderr == "error: it is wrong\n\nhint: mend it\n"


def test_error_as_json():
    result = with_command("raise errors.LockedError('taken', hint='wait')", "--json")
    assert result.returncode == 4
    about = json.loads(result.stdout)["error"]
    assert about == {"type": "LockedError", "message": "taken", "hint": "wait", "retriable": True, "exit_code": 4}


def test_interrupt_exits_130():
    result = with_command("raise KeyboardInterrupt")
    assert (result.returncode, result.stderr.strip()) == (130, "interrupted")


def test_termination_takes_the_way_of_an_interrupt():
    body = "import os, signal, threading; os.kill(os.getpid(), signal.SIGTERM); threading.Event().wait(30)"
    assert with_command(body).returncode == 130


@pytest.mark.parametrize(
    ("arguments", "stdout", "stderr"),
    [([], "text\n", "a note\n"), (["--json"], '{\n  "key": 1\n}\n', "a note\n"), (["--quiet"], "", "")],
)
def test_output_modes(arguments, stdout, stderr):
    result = with_command("output.note('a note'); output.result({'key': 1}, 'text')", *arguments)
    assert (result.returncode, result.stdout, result.stderr) == (0, stdout, stderr)


def test_exit_code_of_a_command_is_that_of_the_process():
    assert with_command("return 1").returncode == 1


def test_progress_without_a_terminal_is_a_plain_line():
    result = with_command("\n            with output.progress('Working', total=2) as p: p.advance()")
    assert re.fullmatch(r"Working \(\d+\.\d s\)\n", result.stderr)
