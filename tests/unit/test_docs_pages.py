# SPDX-License-Identifier: Apache-2.0
"""Every page: its links lead somewhere, its commands are ones that the command line takes, and the README finds it."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import click
import pytest

from tfs_deploy.cli.main import COMMANDS, group

ROOT = Path(__file__).parents[2]
DOCS = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "docs" / "demo.txt"]
PAGES = [*DOCS, ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
IDS = [page.relative_to(ROOT).as_posix() for page in PAGES]


def commands(text: str) -> list[str]:
    """Return the command lines of a page: lines of code blocks, and code in a sentence."""
    blocks = re.findall(r"^```(?:sh|bash|text|console)(?: .*)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^(?:    (?:\$ )?|\$ )(tfs-deploy .*)$", text, re.MULTILINE)
    lines = [line.removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    inline = [" ".join(code.split()) for code in re.findall(r"`(tfs-deploy [^`]+)`", prose)]
    return [*(line for line in lines if line.startswith("tfs-deploy ")), *indented, *inline]


def words_of(line: str) -> list[str]:
    """Split a line as a shell does, up to a comment, a pipe or a redirection; without the name of the program."""
    reader = shlex.shlex(line, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    return list(itertools.takewhile(lambda word: not set(word) <= set("|&<>;()"), reader))[1:]


def check(line: str) -> None:
    """Follow a line through the groups of commands; each word that is an option must be one."""
    words = words_of(line)
    command: click.Command = group
    context = click.Context(group)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words.pop(0))
        assert found is not None, f"{line}: no such command"
        command = found
    if command.name == "config" and words[:1] == ["import"]:
        from tfs_deploy.cli.commands.config import import_command

        command = import_command
    options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    if "flags" in options:  # of serve, which takes the flags of tensorflow_model_server
        return
    for word in words:
        name = word.partition("=")[0]
        if re.fullmatch(r"--?[a-z][\w-]*", name):
            assert name in options | {"--help", "-h"}, f"{line}: there is no {name}"


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_its_commands_and_options_exist(page):
    for line in commands(page.read_text()):
        check(line)


def test_the_pages_have_commands_of_every_kind():
    named = {words_of(line)[0] for page in PAGES for line in commands(page.read_text())}
    assert set(COMMANDS) - named <= {"logs", "stats"}


@pytest.mark.parametrize(
    "line", ["tfs-deploy serv", "tfs-deploy lint --rulez", "tfs-deploy rollout begin", "tfs-deploy up x --nowait"]
)
def test_a_command_that_does_not_exist_is_found(line):
    with pytest.raises(AssertionError):
        check(line)


@pytest.mark.parametrize("page", PAGES, ids=IDS)
def test_its_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path) if path else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            titles = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, target


def test_the_readme_or_the_navigation_leads_to_every_page():
    links = set(re.findall(r"\]\(docs/([\w./-]+)", (ROOT / "README.md").read_text()))
    navigation = set(re.findall(r"([\w./-]+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE))
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in DOCS}
    assert pages <= links | navigation


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
#: rows of "Where does it go?": the change, its files, its test
CHANGES = [
    [cell.strip() for cell in line.split("|")[1:-1]]
    for line in CONTRIBUTING.partition("## Where does it go?")[2].partition("\n## ")[0].splitlines()
    if line.startswith("| a")
]
A_PATH = re.compile(r"(?<![\w/])(?:configs|docs|scripts|tests|tfs_deploy)/[\w./-]+")


def test_the_paths_in_contributing_exist():
    paths = [path.rstrip(".") for path in A_PATH.findall(CONTRIBUTING)]
    assert len(paths) > 60
    for path in paths:
        where, placeholder, _ = path.partition("NAME")
        assert (ROOT / where).exists(), path
        assert not placeholder or where.endswith("/"), path


def test_a_change_touches_three_files_at_the_most():
    assert len(CHANGES) == 12
    for change, files, tests in CHANGES:
        assert len(files.split(";")) <= 3, change
        assert A_PATH.search(tests), change


@pytest.mark.parametrize(("change", "files"), [row[:2] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_the_names_to_look_for_are_in_their_files(change, files):
    names = re.findall(rf"`({A_PATH.pattern})` \(`(\w+)`\)", files)
    assert names, change
    for path, name in names:
        assert re.search(rf"^(?:class )?{name}\b", (ROOT / path).read_text(), re.MULTILINE), (path, name)
