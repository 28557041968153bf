# SPDX-License-Identifier: Apache-2.0
"""What TAB completes: click's protocol in this process, and once a real bash on a pseudo terminal."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import click
import pytest

from tfs_deploy.cli.commands.completion import command as completion
from tfs_deploy.cli.line import install, kinds
from tfs_deploy.cli.line.shells import PROGRAM, SHELLS, VARIABLE, Bash, Fish, Zsh, script, words_to
from tfs_deploy.cli.main import COMMANDS, COMPLETION, group, run

SHOP = """\
name: shop
server: {grpc_port: 9000, rest_port: 9001}
models:
  - {name: half, base_path: models/half, labels: {stable: 1, blue: 2}}
  - {name: two words, base_path: "$WHERE/other"}
  - {name: "bad\\e[31m", base_path: nowhere}
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A folder with one deployment file, versions on disk and a file with spaces in its name."""
    for version in (1, 2, 10):
        (tmp_path / "models" / "half" / str(version)).mkdir(parents=True)
    (tmp_path / "models" / "other" / "7").mkdir(parents=True)
    (tmp_path / "shop.yaml").write_text(SHOP)
    (tmp_path / "notes.yml").write_text("a: 1\n")
    (tmp_path / "read me.md").touch()
    (tmp_path / "verdict.json").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WHERE", "models")
    monkeypatch.delenv("COMP_WORDS", raising=False)
    return tmp_path


def complete(line: str) -> list[str]:
    """Return what TAB offers at the end of a line."""
    *words, typed = line.split(" ")
    found = Bash(group, {}, PROGRAM, VARIABLE).get_completions(words, typed)
    return [each.value if each.type in ("plain", "part", "path") else f"[{each.type}]" for each in found]


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("rollo", ["rollout"]),
        ("rollout st", ["start", "status"]),
        ("up ", ["models", "notes.yml", "shop.yaml"]),
        ("up s", ["shop.yaml"]),
        ("up ./s", ["./shop.yaml"]),
        ("inspect models/", ["models/half", "models/other"]),
        ("config ", ["import", "models", "notes.yml", "shop.yaml"]),
        ("config import ", ["[file]"]),
        ("publish models/half --require-verdict v", ["verdict.json"]),
        ("rollout start shop.yaml --model ", ["half", "two words"]),
        ("rollback shop.yaml --model=h", ["half"]),
        ("verify --model h", ["half"]),  # the only deployment file here
        ("rollout start shop.yaml --to ", ["10", "7", "2", "1"]),
        ("rollout start shop.yaml --model half --to ", ["10", "2", "1"]),
        ("smoke shop.yaml --label ", ["stable", "blue", "canary"]),
        ("smoke shop.yaml --model half --version 1", ["10", "1"]),
        ("predict ", ["127.0.0.1:9000"]),
        ("predict --rest ", ["127.0.0.1:9001"]),
        ("predict 127.0.0.1:9000 ", ["half", "two words"]),
        ("predict 127.0.0.1:9000 half --label b", ["blue"]),
        ("verify shop.yaml --target ", ["embedded", "docker", "127.0.0.1:9000"]),
        ("verify models/half/2 --baseline ", ["10", "2", "1"]),
        ("diff models/half --baseline 1", ["10", "1"]),
        ("verify shop.yaml --only lo", ["load", "load-test"]),
        ("verify shop.yaml --metric acc", ["accuracy"]),
        ("verify shop.yaml --budget p9", ["p90", "p95", "p99"]),
        ("rollout start shop.yaml --gate p9", ["p90=", "p95=", "p99="]),
        ("rollout start shop.yaml --strategy b", ["blue-green"]),
        ("rollout start shop.yaml --hook before:pro", ["before:promote="]),
        ("lint x --fail-on w", ["warning"]),
        ("export m.keras --version t", ["timestamp"]),
        ("run models/half -o ta", ["table"]),
        ("completion f", ["fish"]),
        ("serve --model_n", ["--model_name="]),
        ("up shop.yaml --time", ["--timeout"]),
    ],
)
def test_what_a_line_is_completed_with(shop, line, values):
    assert complete(line) == values


def test_a_command_is_completed_with_what_it_does():
    found = Bash(group, {}, PROGRAM, VARIABLE).get_completions([], "")
    assert {each.value: each.help for each in found if not each.value.startswith("-")} == COMMANDS


def test_the_rules_of_a_list_are_completed_one_by_one(shop):
    assert "TFS101,TFS102" in complete("lint --select TFS101,TFS10")
    assert "TFS101,TFS101" not in complete("lint --select TFS101,TFS10")


def test_the_deployment_file_may_follow_the_word_that_is_completed(shop, monkeypatch):
    (shop / "other.yaml").write_text("models: [{name: mine}]")
    assert complete("rollout start --model ") == []  # two files to choose from
    monkeypatch.setenv("COMP_WORDS", "tfs-deploy rollout start --model  other.yaml")
    assert complete("rollout start --model ") == ["mine"]


@pytest.mark.parametrize(
    "content", ["models: [", "- 1", "models: 3", "models: [3]", "\0", "[" * 1000, "#" * 300_000, "a: *b", "{: : :}"]
)
def test_a_file_that_is_not_a_deployment_completes_nothing(shop, content):
    (shop / "shop.yaml").write_text(content)
    for words in ("rollout start shop.yaml --model ", "smoke shop.yaml --label ", "smoke shop.yaml --version "):
        assert complete(words) == []


def test_a_pipe_does_not_hang_a_tab(shop):
    (shop / "shop.yaml").unlink()
    os.mkfifo(shop / "shop.yaml")
    assert complete("rollout start shop.yaml --model ") == []


def test_the_metrics_are_those_of_verify():
    from tfs_deploy.verify.measure.metrics import METRICS

    assert tuple(METRICS) == kinds.METRICS


@pytest.mark.parametrize(
    ("line", "words", "typed"),
    [
        ("tfs-deploy up s", ["up"], "s"),
        ("tfs-deploy up ", ["up"], ""),
        ("tfs-deploy up 'my fi", ["up"], "my fi"),
        (r"tfs-deploy up my\ fi", ["up"], "my fi"),
        ("tfs-deploy rollout start x --gate=p9", ["rollout", "start", "x"], "--gate=p9"),
        ("tfs-deploy predict 127.0.0.1:85", ["predict"], "127.0.0.1:85"),
        ("tfs-deploy", [], ""),
    ],
)
def test_the_words_of_a_line_of_bash(line, words, typed):
    assert words_to(line + " and more", len(line)) == (words, typed)


@pytest.mark.parametrize(
    ("line", "breaks", "answer"),
    [
        ("tfs-deploy rollback shop.yaml --model=ha", " =:", "plain,half"),
        ("tfs-deploy rollback shop.yaml --model=ha", " ", "plain,--model=half"),
        ("tfs-deploy rollback shop.yaml --model t", " =:", "plain,'two words'"),
        ("tfs-deploy predict 127.0.0.1:9", " =:", "plain,9000"),
        ("tfs-deploy rollout start x --hook before:pro", " =:", "part,promote="),
        ("tfs-deploy up mo", " =:", "path,models"),
    ],
)
def test_what_bash_is_answered(shop, monkeypatch, line, breaks, answer):
    environment = {"COMP_WORDS": line, "COMP_POINT": str(len(line)), "COMP_WORDBREAKS": breaks}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Bash(group, {}, PROGRAM, VARIABLE).complete() == answer


@pytest.mark.parametrize(
    ("shell", "word", "answer"),
    [
        (Zsh, "mo", "part\nmodels/\n_"),
        (Zsh, "sh", "path\nshop.yaml\n_"),
        (Fish, "mo", "part,models/"),
        (Zsh, "--timeout", "plain\n--timeout\nTime to wait for every version to become available, in seconds."),
        (Fish, "--ignore", "plain,--ignore-memory\tStart even if the models may not fit into memory."),
    ],
)
def test_what_zsh_and_fish_are_answered(shop, monkeypatch, shell, word, answer):
    monkeypatch.setenv("COMP_WORDS", f"tfs-deploy up {word}")
    monkeypatch.setenv("COMP_CWORD", word if shell is Fish else "2")
    assert shell(group, {}, PROGRAM, VARIABLE).complete() == answer


@pytest.mark.parametrize(
    ("shell", "word", "answer"),
    [(Zsh, "--model=ha", "plain\n--model=half\n_"), (Fish, "--model=ha", "plain,--model=half")],
)
def test_zsh_and_fish_replace_the_whole_word(shop, monkeypatch, shell, word, answer):
    monkeypatch.setenv("COMP_WORDS", f"tfs-deploy rollback shop.yaml {word}")
    monkeypatch.setenv("COMP_CWORD", word if shell is Fish else "3")
    assert shell(group, {}, PROGRAM, VARIABLE).complete() == answer


def test_a_tab_imports_nothing_heavy(shop):
    line = "tfs-deploy rollout start shop.yaml --model h"
    environment = {**os.environ, VARIABLE: "bash_complete", "COMP_WORDS": line, "COMP_POINT": str(len(line))}
    code = """
import atexit, sys
heavy = {"tensorflow", "numpy", "grpc", "pydantic", "rich", "httpx", "google.protobuf"}
atexit.register(lambda: print(sorted(heavy & set(sys.modules))))
from tfs_deploy.cli.entry import main
main([])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout == "plain,half\n[]\n", done.stderr


@pytest.mark.parametrize("name", ["export", "predict", "verify", "lint", "inspect", "serve"])
def test_a_command_is_looked_up_without_what_it_needs_to_run(name):
    code = (
        f"import sys, tfs_deploy.cli.commands.{name}; print({{'numpy', 'grpc', 'pydantic', 'rich'}} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr


def test_the_program_and_the_scripts_agree_on_the_variable():
    assert COMPLETION == VARIABLE
    assert list(SHELLS) == list(completion.params[0].type.choices)
    for shell in SHELLS:
        assert f"{VARIABLE}={shell}_complete" in script(shell)


def test_bash_completes_a_line(shop):
    """The shell's own part: quoting, the space after a word, and the breaks at ``=`` and ``:``."""
    (shop / "my models").mkdir()
    (shop / "tfs-deploy").write_text(f'#!/bin/sh\nexec {sys.executable} -m tfs_deploy "$@"\n')
    (shop / "tfs-deploy").chmod(0o755)
    (shop / "complete.bash").write_text(script("bash"))
    typed = {
        "tfs-deploy up sh": "<tfs-deploy><up><shop.yaml><END>",
        "tfs-deploy up my": "<tfs-deploy><up><my models/END>",  # no space after a directory
        "tfs-deploy rollback shop.yaml --model=tw": "<tfs-deploy><rollback><shop.yaml><--model=two words><END>",
        "tfs-deploy predict 127.0.0.1:": "<tfs-deploy><predict><127.0.0.1:9000><END>",
    }
    with_bash = Terminal(["bash", "--norc", "--noprofile", "-i"], shop)
    try:
        with_bash.send("bind 'set bell-style none'; . ./complete.bash; echo rea''dy\n")
        with_bash.wait_for("ready\r\n")
        for line, expected in typed.items():
            with_bash.send(f"{line}\t\x01printf '<%s>' \x05END\n")  # Ctrl-A: to the beginning, Ctrl-E: to the end
            assert with_bash.wait_for(re.compile(r"<tfs-deploy>.*END>")) == expected
    finally:
        with_bash.close()


class Terminal:
    """A program on a pseudo terminal."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self._process, self._file = pty.fork()
        if self._process == 0:
            environment = {"PATH": f"{folder}:{os.environ['PATH']}", "TERM": "dumb", "PS1": "> ", "WHERE": "models"}
            os.chdir(folder)
            os.execvpe(command[0], command, {**environment, "INPUTRC": "/dev/null", "HOME": str(folder)})
        self._seen = ""

    def send(self, text: str) -> None:
        os.write(self._file, text.encode())

    def wait_for(self, wanted: str | re.Pattern[str]) -> str:
        end = time.monotonic() + 60
        pattern = re.compile(re.escape(wanted)) if isinstance(wanted, str) else wanted
        while (found := pattern.search(self._seen)) is None:
            assert time.monotonic() < end, self._seen
            if select.select([self._file], [], [], 1)[0]:
                self._seen += os.read(self._file, 4096).decode(errors="replace")
        self._seen = self._seen[found.end() :]
        return found[0]

    def close(self) -> None:
        os.close(self._file)  # which hangs up
        os.waitpid(self._process, 0)


@pytest.mark.parametrize("shell", SHELLS)
def test_installing_twice_and_removing_leaves_start_files_as_they_were(shell, tmp_path, monkeypatch, capsys):
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "ZDOTDIR", "BASH_COMPLETION_USER_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(install, "_BASH_COMPLETION", ())
    starts = [tmp_path / ".bashrc", tmp_path / ".zshrc"]
    for each in starts:
        each.write_bytes(b"alias a=b # \xff\n")

    def changes(*words: str) -> list[str]:
        assert run(["completion", shell, *words, "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert found["shell"] == shell
        return found["changes"]

    written = changes("--install")
    place = install.find_place(shell)
    assert written == [f"wrote {place.script}", *([f"added a line to {place.start_file}"] if place.start_file else [])]
    assert place.script.read_text() == script(shell)
    assert changes("--install") == []
    if place.start_file:
        assert place.start_file.read_bytes() == f"alias a=b # \udcff\n{place.line}  # tfs-deploy completion\n".encode(
            errors="surrogateescape"
        )
    place.script.write_text("an older one")
    assert changes("--install") == [f"wrote {place.script}"]
    assert len(changes("--uninstall")) == len(written)
    assert changes("--uninstall") == []
    assert [each.read_bytes() for each in starts] == [b"alias a=b # \xff\n"] * 2
    assert not place.script.exists()


def test_bash_completion_loads_the_script_itself_where_it_is_installed(tmp_path):
    environment = {"HOME": str(tmp_path)}
    place = install.place_of("bash", environment, loads_itself=True)
    assert place == install.Place(tmp_path / ".local/share/bash-completion/completions/tfs-deploy")
    elsewhere = install.place_of("bash", {**environment, "XDG_DATA_HOME": "/data"}, loads_itself=False)
    assert elsewhere.script == Path("/data/bash-completion/completions/tfs-deploy")
    assert elsewhere.start_file == tmp_path / ".bashrc"
    assert install.place_of("zsh", {**environment, "ZDOTDIR": "/z"}, loads_itself=True).start_file == Path("/z/.zshrc")


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    assert run(["completion", "fish", "--install"]) == 3
    assert "cannot write to" in capsys.readouterr().err


def test_install_and_uninstall_exclude_each_other(capsys):
    assert run(["completion", "bash", "--install", "--uninstall"]) == 2
    assert "exclude each other" in capsys.readouterr().err


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_parses(shell):
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    subprocess.run([program, "-n"], input=script(shell), text=True, check=True, timeout=60)


def test_every_argument_that_is_a_deployment_file_is_completed():
    from support.commands import EVERY_COMMAND

    for name, command in EVERY_COMMAND.items():
        for each in command.params:
            if isinstance(each, click.Argument) and each.name == "file" and name != "config import":
                assert each._custom_shell_complete is not None, name
