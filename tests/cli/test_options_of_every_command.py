# SPDX-License-Identifier: Apache-2.0
"""Options that every command has, variables that set options, and what a mistake on the line is answered with."""

from __future__ import annotations

import json
import os
import re

import click
import pytest

from support.commands import EVERY_COMMAND
from tfs_deploy.cli.line.option import Option, in_words, option, variable
from tfs_deploy.cli.main import group, run
from tfs_deploy.cli.shared.help import Command, Group
from tfs_deploy.cli.shared.options import common

LEAVES = {name: command for name, command in EVERY_COMMAND.items() if not isinstance(command, Group)}
#: name of the variable -> command and option
VARIABLES = [
    (variable(f"tfs-deploy {path}", each.long_name()), path, each)
    for path, command in {**EVERY_COMMAND, "": group}.items()
    for each in command.params
    if isinstance(each, Option)
]


class Options:
    """One option of each kind, as commands have them."""

    number = option("--number", type=click.IntRange(min=1), default=5, help="A number.")
    token = option("--token", envvar="TFS_DEPLOY_TOKEN", help="A token.")
    words = option("--gate", "gates", multiple=True, help="A gate.")
    check = option("--check/--no-check", default=True, help="Check it.")


@click.command(name="probe", cls=Command)
@click.argument("file")
@common
def probe(output, file):
    """Try it."""
    click.echo(json.dumps({"file": file, "json": output.as_json, "quiet": output.quiet, "pages": output.pages}))


@pytest.fixture
def probed(monkeypatch):
    """Return what a command sees after a line; ``up`` is replaced by it."""
    monkeypatch.setattr("tfs_deploy.cli.commands.up.command", probe)

    def parse(capsys, *words: str) -> dict:
        assert run(list(words)) == 0
        return json.loads(capsys.readouterr().out)

    return parse


def test_every_command_has_them_and_every_option_has_a_variable():
    wanted = {"--json", "--quiet", "--no-color", "--no-pager"}
    for name, command in {**EVERY_COMMAND, "tfs-deploy": group}.items():
        options = [each for each in command.params if isinstance(each, click.Option)]
        if name != "serve":  # which has the flags of tensorflow_model_server
            assert wanted <= {word for each in options for word in each.opts}, name
        assert [each.name for each in options if not isinstance(each, Option) and each.name != "version"] == []


@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize(
    ("words", "key"), [(["--json"], "json"), (["-q"], "quiet"), (["--quiet"], "quiet"), (["--no-pager"], "pages")]
)
def test_they_are_taken_before_and_after_the_name(probed, capsys, place, words, key):
    line = [*words, "up", "x"] if place == "before" else ["up", "x", *words]
    assert probed(capsys, *line)[key] is (key != "pages")
    assert probed(capsys, "up", "x")[key] is (key == "pages")


def test_a_group_takes_them_too(capsys):
    assert run(["lock", "--json", "status", "/nowhere.yaml"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["type"] == "UsageError"


def test_no_color_holds_for_one_command_only(monkeypatch, capsys):
    monkeypatch.delenv("NO_COLOR", raising=False)
    seen = []
    see = click.command(cls=Command)(common(lambda _: seen.append(os.environ.get("NO_COLOR"))))
    monkeypatch.setattr("tfs_deploy.cli.commands.up.command", see)
    for line in (["up", "--no-color"], ["--no-color", "up"], ["up"]):
        assert run(line) == 0
    monkeypatch.setenv("TFS_DEPLOY_NO_COLOR", "1")
    assert run(["up"]) == 0
    assert seen == ["1", "1", None, "1"]
    assert "NO_COLOR" not in os.environ
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("path", "option", "name"),
    [
        ("tfs-deploy up", "--timeout", "TFS_DEPLOY_UP_TIMEOUT"),
        ("tfs-deploy rollout start", "--samples-timeout", "TFS_DEPLOY_ROLLOUT_START_SAMPLES_TIMEOUT"),
        ("tfs-deploy config import", "--base-path-map", "TFS_DEPLOY_CONFIG_IMPORT_BASE_PATH_MAP"),
        ("tfs-deploy", "--json", "TFS_DEPLOY_JSON"),
    ],
)
def test_the_name_of_a_variable(path, option, name):
    assert variable(path, option) == name


def test_no_variable_means_two_things():
    """Two options of one name; what gates and hooks are told; the toolkit's own variables."""
    names = [name for name, _, _ in VARIABLES]
    assert len(names) == len(set(names))
    told = "MODEL VERSION LABEL PERCENT WINDOW FROM TO STRATEGY PHASE STEP WEIGHT STATUS REASON REPLICA"
    own = "COMMAND OP_LIBRARIES TOKEN"
    assert {f"TFS_DEPLOY_{word}" for word in (told + " " + own).split()} & set(names) == set()


@click.command(name="probe", cls=Command)
@click.argument("file", required=False)
@Options.number
@Options.token
@Options.words
@Options.check
@common
def typed(output, **values):
    """Try it."""
    click.echo(json.dumps(values))


@pytest.mark.parametrize(
    ("line", "environment", "key", "value"),
    [
        ([], {}, "number", 5),
        ([], {"NUMBER": "7"}, "number", 7),
        ([], {"NUMBER": ""}, "number", 5),  # empty is not set
        (["--number", "8"], {"NUMBER": "7"}, "number", 8),
        (["--number", "8"], {"NUMBER": "seven"}, "number", 8),  # and is not looked at
        ([], {"CHECK": "0"}, "check", False),
        ([], {"CHECK": "no"}, "check", False),
        (["--check"], {"CHECK": "no"}, "check", True),
        (["--no-check"], {"CHECK": "1"}, "check", False),
        (
            [],
            {"GATE": "p99=50ms 'command=./check.sh now'\nerrors=1%"},
            "gates",
            ["p99=50ms", "command=./check.sh now", "errors=1%"],
        ),
        (["--gate", "a=1"], {"GATE": "b=2"}, "gates", ["a=1"]),
    ],
)
def test_the_line_then_the_variable_then_the_default(monkeypatch, capsys, line, environment, key, value):
    monkeypatch.setattr("tfs_deploy.cli.commands.up.command", typed)
    for name, text in environment.items():
        monkeypatch.setenv(f"TFS_DEPLOY_UP_{name}", text)
    assert run(["up", *line]) == 0
    assert json.loads(capsys.readouterr().out)[key] == value


@pytest.mark.parametrize(
    ("line", "environment", "token"),
    [
        ([], {"TFS_DEPLOY_TOKEN": "all"}, "all"),
        ([], {"TFS_DEPLOY_TOKEN": "all", "TFS_DEPLOY_UP_TOKEN": "own"}, "own"),
        (["--token", "line"], {"TFS_DEPLOY_TOKEN": "all", "TFS_DEPLOY_UP_TOKEN": "own"}, "line"),
    ],
)
def test_the_variable_of_a_command_comes_before_the_one_that_commands_share(
    monkeypatch, capsys, line, environment, token
):
    monkeypatch.setattr("tfs_deploy.cli.commands.up.command", typed)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert run(["up", *line]) == 0
    assert json.loads(capsys.readouterr().out)["token"] == token


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("TFS_DEPLOY_UP_NUMBER", "0", "Invalid value for 'TFS_DEPLOY_UP_NUMBER': 0 is not at least 1"),
        ("TFS_DEPLOY_UP_NUMBER", "x", "Invalid value for 'TFS_DEPLOY_UP_NUMBER': 'x' is not a valid whole number"),
        ("TFS_DEPLOY_UP_CHECK", "maybe", "Invalid value for 'TFS_DEPLOY_UP_CHECK': 'maybe' is not a valid boolean"),
        ("TFS_DEPLOY_UP_GATE", "'open", "Invalid value for 'TFS_DEPLOY_UP_GATE': not valid shell words: No closing"),
        ("TFS_DEPLOY_JSON", "maybe", "Invalid value for 'TFS_DEPLOY_JSON': 'maybe' is not a valid boolean"),
    ],
)
def test_a_wrong_value_names_the_variable_that_it_came_from(monkeypatch, capsys, name, text, message):
    monkeypatch.setattr("tfs_deploy.cli.commands.up.command", typed)
    monkeypatch.setenv(name, text)
    assert run(["up"]) == 2
    assert f"error: {message}" in capsys.readouterr().err


def test_a_token_from_a_variable_is_not_shown(monkeypatch, capsys):
    monkeypatch.setenv("TFS_DEPLOY_PREDICT_TOKEN", "s3cret")
    assert run(["predict", "--help"]) == 0
    assert run(["predict", "127.0.0.1:1", "m", "--timeout", "0.1", "--json"]) == 3
    shown = capsys.readouterr()
    assert "s3cret" not in shown.out + shown.err


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("rolout", "No such command 'rolout'. Did you mean 'rollout'?"),
        ("rollout strat", "No such command 'strat'. Did you mean 'start'?"),
        ("lock relase", "No such command 'relase'. Did you mean 'release'?"),
        ("up x --timout 3", "Did you mean '--timeout'?"),
        (
            "rollout start x --strategy cannary",
            "'cannary' is not one of 'canary', 'blue-green', 'shadow', 'ab'. Did you mean 'canary'?",
        ),
        ("lint x --fail-on warnings", "Did you mean 'warning'?"),
        ("render compos x", "Did you mean 'compose'?"),
        ("completion fsh", "Did you mean 'fish'?"),
        ("export x --to y --kind kears", "Did you mean 'keras'?"),
        ("rollout start x --strategy qqq", "'qqq' is not one of 'canary', 'blue-green', 'shadow', 'ab'\n"),
        ("smoke x --label", "hint: tfs-deploy smoke --help"),
        ("up x y", "hint: tfs-deploy up --help"),
    ],
)
def test_a_mistyped_word_names_the_closest_one(capsys, line, message):
    assert run(line.split()) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_every_choice_that_is_mistyped_is_answered_with_the_closest(name, capsys):
    for each in EVERY_COMMAND[name].params:
        if isinstance(each.type, click.Choice) and isinstance(each, click.Option):
            near = str(each.type.choices[0])
            assert run([*name.split(), each.opts[0], f"{near}x"]) == 2
            assert f"Did you mean '{near}'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.0 is not in the range x>=1.0.", "0 is not at least 1."),
        ("0.5 is not in the range x>=1.0", "0.5 is not at least 1"),
        ("9.0 is not in the range 1.0<=x<=2.5.", "9 is not in the range 1 to 2.5."),
        ("Got unexpected extra arguments (b c)", "Unexpected arguments: b c"),
        ("Missing argument '{a|b}'. Choose from: a, b", "Missing argument: one of a, b"),
        ("Option '-i' requires an argument.", "Option '-i' needs a value."),
        ("'127.0.0.1' is not valid", "'127.0.0.1' is not valid"),
        ("0 is not in the range x>0.", "0 is not above 0."),
        ("300 is not in the range 1<=x<=256.", "300 is not in the range 1 to 256."),
        ("'x' is not a valid float range.", "'x' is not a valid number."),
        ("[default: 10.0; x>=0.1]", "[default: 10.0; at least 0.1]"),
    ],
)
def test_the_words_of_click(text, words):
    assert in_words(text) == words


@pytest.mark.parametrize("columns", [50, 80])
@pytest.mark.parametrize("name", LEAVES)
def test_a_help_screen_fits(name, columns, monkeypatch, capsys):
    """Whatever is not to be copied as it is written."""
    monkeypatch.setenv("COLUMNS", str(columns))
    assert run([*name.split(), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    command = LEAVES[name]
    as_written = {f"  {line}" for line in command.examples}
    end = next((number for number, line in enumerate(lines) if line.startswith(("Times:", "Groups of"))), len(lines))
    assert [line for line in lines[:end] if len(line) > columns and line not in as_written] == []
    assert not [line for line in lines if re.search(r"x>=|<=x|\]  \[|\d\.0[;\]]", line)]
