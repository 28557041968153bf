# SPDX-License-Identifier: Apache-2.0
"""What smoke, rollout and rollback refuse before they ask any server."""

from __future__ import annotations

import json
import subprocess

import pytest

from support.forked_command import run_command
from support.live import free_ports
from tfs_deploy.cli.shared.output import Output
from tfs_deploy.cli.shared.rollout_views import duration_text, show_plan
from tfs_deploy.rollout import CheckResult, Plan
from tfs_deploy.rollout.controller.journal import Journal
from tfs_deploy.rollout.machine.history import Event
from tfs_deploy.state.journal import rollout_dir

FILE = """
name: shop
models:
  - name: digits
    base_path: models/digits
    versions: {specific: [1]}
    labels: {stable: 1}
  - name: faces
    base_path: models/faces
    versions: {specific: [1]}
"""


def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run_command(*arguments)


@pytest.fixture
def file(tmp_path) -> str:
    path = tmp_path / "shop.yaml"
    grpc, rest = free_ports(2)
    path.write_text(f"{FILE}server: {{grpc_port: {grpc}, rest_port: {rest}}}\n")
    return str(path)


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["smoke", "FILE", "--model", "digit"], "shop.yaml has no model 'digit'", "did you mean 'digits'?"),
        (["smoke", "FILE", "--label", "stabel"], "no model has the label 'stabel'", "did you mean 'stable'?"),
        (["smoke", "FILE", "--label", "stable", "--version", "1"], "a version or a label, not both", "drop one"),
        (["smoke", "FILE", "--version", "1"], "a version belongs to one model", "--model"),
        (["rollout", "start", "FILE"], "has several models", "digits, faces"),
        (["rollout", "start", "FILE", "--model", "x"], "has no model 'x'", "digits, faces"),
        (["rollout", "start", "FILE", "--model", "digits", "--steps", "5,50"], "do not end with 100", "5,25,50,100"),
        (["rollout", "start", "FILE", "--model", "digits", "--bake", "1x"], "'1x' is not a valid time", "5m"),
        (["rollout", "resume", "FILE", "--model", "digits"], "digits was never rolled out", "shop.yaml --model digits"),
        (["rollout", "abort", "FILE", "--model", "digits"], "digits was never rolled out", "shop.yaml --model digits"),
        (["rollout", "start", "nowhere.yaml"], "nowhere.yaml does not exist", ""),
    ],
)
def test_a_mistake_is_named_with_what_to_do(file, arguments, message, hint):
    result = cli(*(file if word == "FILE" else word for word in arguments))

    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert hint in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


def test_status_of_a_model_that_was_never_rolled_out(file):
    result = cli("rollout", "status", file, "--model", "digits")

    assert (result.returncode, result.stdout) == (0, "digits was never rolled out\n")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.3, "0.3 s"),
        (119.9, "119.9 s"),
        (120, "2 min"),
        (601.4, "10 min 1 s"),
        (3600, "1 h"),
        (90061, "25 h 1 min 1 s"),
    ],
)
def test_how_long_something_takes_is_said_as_people_say_it(seconds, text):
    assert duration_text(seconds) == text


def test_nothing_to_watch_is_said(file):
    result = cli("rollout", "status", file, "--model", "digits", "--watch")
    assert (result.returncode, result.stdout) == (0, "digits was never rolled out\n")
    assert (
        result.stderr
        == f"there is no rollout to watch; start one with: tfs-deploy rollout start {file} --model digits\n"
    )


def test_the_report_of_a_rollback_names_the_rollout_before_it(file, tmp_path):
    folder = rollout_dir(tmp_path / ".tfs-deploy/shop", "digits")
    folder.mkdir(parents=True)
    for number, plan in enumerate([Plan("digits", 1, 2), Plan("digits", 2, 1, back=True, steps=())], 1):
        journal = Journal(folder / f"{number:04}.jsonl")
        journal.append(Event("start", detail={"plan": plan.as_dict()}, at=1000.0 * number))
        journal.append(Event("finish", detail={"status": "done", "reason": ""}, at=1001.0 * number))
    result = cli("rollout", "report", file, "--model", "digits")
    assert result.returncode == 0, result.stderr
    assert "from version 1 to 2 before it: tfs-deploy rollout report" in result.stderr
    assert result.stderr.rstrip().endswith("--number 1")
    assert cli("rollout", "report", file, "--model", "digits", "--number", "1").stderr == ""


def test_a_plan_shows_all_that_preflight_refuses_and_what_allows_it(capsys):
    refusals = ("lint of version 2: TFS111 x", "version 2 has no recorded answers")
    flags = ("--ignore-lint", "--allow-missing-goldens")
    check = CheckResult(False, "; ".join(refusals), ("no manifest",), refusals=refusals, allowed_by=flags)

    show_plan(Output(), Plan("digits", 1, 2), check)
    text = " ".join(capsys.readouterr().out.split())
    show_plan(Output(as_json=True), Plan("digits", 1, 2), check)
    document = json.loads(capsys.readouterr().out)["preflight"]

    assert "note: no manifest" in text
    for refusal in refusals:
        assert text.count(f"preflight refuses: {refusal}") == 1
    assert text.endswith("or repeat rollout start with --ignore-lint --allow-missing-goldens")
    assert document == {
        "passed": False,
        "refusals": list(refusals),
        "allowed_by": list(flags),
        "notes": ["no manifest"],
    }


def test_a_plan_without_refusals_says_nothing_of_them(capsys):
    show_plan(Output(), Plan("digits", 1, 2), CheckResult(ok=True))

    assert "refuses" not in capsys.readouterr().out


def test_a_refused_version_is_refused_in_the_history(file, tmp_path):
    journal = Journal.create(tmp_path / ".tfs-deploy" / "shop", "digits")
    reason = "preflight: no goldens"
    journal.append(Event("start", detail={"plan": Plan("digits", 1, 2).as_dict()}))
    journal.append(Event("finish", detail={"status": "rolled back", "reason": reason, "refused": True}))

    shown = cli("rollout", "history", file, "--model", "digits")
    document = json.loads(cli("rollout", "history", file, "--model", "digits", "--json").stdout)["rollouts"][0]

    assert shown.returncode == 0, shown.stderr
    assert "refused" in shown.stdout
    assert "rolled back" not in shown.stdout
    assert (document["status"], document["refused"]) == ("rolled back", True)
