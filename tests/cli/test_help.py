# SPDX-License-Identifier: Apache-2.0
"""The help of every command has one form: what it does, when to use it, examples that parse, and no line cut off."""

from __future__ import annotations

import re
import shlex

import click
import pytest

from support.commands import EVERY_COMMAND
from tfs_deploy.cli.main import COMMANDS, group, run
from tfs_deploy.cli.shared.help import Group, summary

every_command = pytest.mark.parametrize(("name", "command"), EVERY_COMMAND.items(), ids=EVERY_COMMAND)


def parse(line: str) -> click.Context:
    """Parse a line as the real command does, without running it."""
    words = shlex.split(line)[1:]
    command: click.Command = group
    context = click.Context(group)
    while isinstance(command, click.Group):
        name = words.pop(0)
        found = command.get_command(context, name)
        assert found is not None, line
        command = found
    return command.make_context(command.name, words, parent=context)


@every_command
def test_its_help_says_what_it_does_when_to_use_it_and_shows_examples(name, command, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*name.split(), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()

    assert [line for line in lines if len(line) > 80] == []
    assert [line for line in lines[1:] if "\\b" in line or line.endswith("...")] == []
    assert lines[0].startswith(f"Usage: tfs-deploy {name} ")
    assert lines[2] == f"  {summary(command)}"
    assert re.fullmatch(r"[A-Z][a-z]+ .*\.", summary(command))
    assert lines[3] == ""
    assert lines[4].startswith("  Use it ")
    assert lines[lines.index("Examples:") + 1 :][: len(command.examples)] == [f"  {line}" for line in command.examples]


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_and_the_command_say_the_same(name):
    assert summary(EVERY_COMMAND[name]) == COMMANDS[name]


@every_command
def test_it_has_two_examples_of_itself_that_parse(name, command):
    assert len(set(command.examples)) >= 2
    for line in command.examples:
        assert line.startswith(f"tfs-deploy {name} ") or line == f"tfs-deploy {name}"
        parse(line)


@pytest.mark.parametrize(
    "line", ["tfs-deploy up", "tfs-deploy up x --nowait", "tfs-deploy rollout start x --to two", "tfs-deploy run a b"]
)
def test_a_line_that_does_not_parse_is_found(line):
    with pytest.raises(click.UsageError):
        parse(line)


@every_command
def test_every_option_has_a_help_text_of_one_style(name, command):
    for option in command.params:
        if isinstance(option, click.Option):
            text = re.sub(r"(  \[[^]]*\])+$", "", option.help or "")
            assert re.match(r"[A-Z]", text), (name, option.name, text)
            assert text.endswith("."), (name, option.name, text)


@pytest.mark.parametrize("name", ["rollout", "lock"])
def test_a_group_lists_each_command_with_its_whole_line(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run([name, "--help"]) == 0
    shown = capsys.readouterr().out
    below = EVERY_COMMAND[name]
    assert isinstance(below, Group)
    for command in below.commands.values():
        assert re.search(rf"^  {command.name} +{re.escape(summary(command))}$", shown, re.MULTILINE), command.name
