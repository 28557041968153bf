# SPDX-License-Identifier: Apache-2.0
"""What is written from the commands: the reference page, manual pages, and schemas of --json; all up to date."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from jsonschema import Draft202012Validator

from support.commands import EVERY_COMMAND
from support.scripts import script
from tfs_deploy.cli.shared.help import Group

reference = script("make_cli_reference")
schemas = script("make_json_schemas")
SCHEMAS = sorted(schemas.FOLDER.glob("*.json"))


@pytest.mark.parametrize("program", [reference, schemas])
def test_every_file_is_up_to_date(program, capsys):
    assert program.main(["--check"]) == 0, capsys.readouterr().out


def test_a_file_that_differs_is_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(schemas, "ROOT", tmp_path)
    monkeypatch.setattr(schemas, "PAGE", tmp_path / "json.md")
    monkeypatch.setattr(schemas, "FOLDER", tmp_path / "schemas")
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "gone.json").touch()
    assert schemas.main(["--check"]) == 1
    assert {"json.md", "schemas/gone.json", "schemas/up.json"} <= set(capsys.readouterr().out.split())
    assert schemas.main([]) == 0
    assert schemas.main(["--check"]) == 0


def test_the_page_and_the_manual_have_every_command_with_every_option():
    page = reference.PAGE.read_text()
    for name, command in EVERY_COMMAND.items():
        section = page.partition(f"\n## tfs-deploy {name}\n")[2].partition("\n## ")[0]
        manual = (reference.MANUAL / f"tfs-deploy-{name.replace(' ', '-')}.1").read_text()
        assert section, name
        for option in command.params:
            word = option.opts[0]
            if word.startswith("--") and word not in reference.COMMON:
                assert f"{word}" in section, (name, word)
                assert word.replace("-", "\\-") in manual, (name, word)
    assert (reference.MANUAL / "tfs-deploy.1").is_file()


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not installed")
def test_groff_has_nothing_to_say_about_the_manual_pages():
    pages = sorted(reference.MANUAL.glob("*.1"))
    line = ["groff", "-man", "-ww", "-Tutf8", "-z", *map(str, pages)]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_command_that_prints_data_has_a_schema():
    names = {name for name, command in EVERY_COMMAND.items() if not isinstance(command, Group)} - {"serve"}
    assert {path.stem.replace("-", " ") for path in SCHEMAS} == {*names, "error"}


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.stem)
def test_it_is_a_schema_that_refuses_something(path):
    schema = json.loads(path.read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    assert not validator.is_valid({})
    assert not validator.is_valid([])


def test_a_document_of_another_kind_is_refused():
    validator = Draft202012Validator(json.loads((schemas.FOLDER / "error.json").read_text()))
    error = {"type": "UsageError", "message": "it is wrong", "hint": None, "retriable": False, "exit_code": 2}
    validator.validate({"error": error, "more": 1})
    for key, value in {"exit_code": "2", "message": 3, "retriable": "no", "problems": [{"line": "1"}]}.items():
        assert not validator.is_valid({"error": {**error, key: value}}), key
