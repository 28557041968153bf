# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy verify`` as a CI job meets it: exit codes, the last line, JSON, reports, and what is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from support.forked_command import run_command
from support.live import free_port, until
from tfs_deploy.cli.main import run

PLAIN = Path(__file__).parents[1] / "data/verify/plain"
COMMAND = [sys.executable, "-m", "tfs_deploy", "verify"]


def verify(*arguments: str | Path, **options) -> subprocess.CompletedProcess[str]:
    return run_command("verify", *arguments, **options)


def test_a_yes_comes_with_all_reports_and_leaves_nothing_else(tmp_path):
    (tmp_path / "tmp").mkdir()
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp")}
    done = verify(PLAIN, "--load", "0.4", "--report", tmp_path / "report", "--json", env=environment)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["ok"] is True
    assert document["models"][0]["digest_of"] == "files"
    assert document == json.loads((tmp_path / "report/verdict.json").read_text())
    names = sorted(path.name for path in (tmp_path / "report").iterdir())
    assert names == ["junit.xml", "report.html", "summary.md", "verdict.json"]
    assert ET.parse(tmp_path / "report/junit.xml").getroot().attrib["failures"] == "0"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_no_names_the_first_failed_check_on_the_last_line(tmp_path, capsys):
    shutil.copytree(PLAIN, tmp_path / "plain")
    (tmp_path / "plain/1/saved_model.pb").write_bytes(b"no graph")
    done = verify(tmp_path / "plain")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "error: 1 of 2 checks failed; first: files.readable (plain 1): " in last
    assert "saved_model.pb" in last
    assert run(["verify", str(tmp_path / "plain"), "--json", "--only", "files"]) == 1
    assert json.loads(capsys.readouterr().out)["first_failed"]["id"] == "files.readable"


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["nowhere"], "nowhere does not exist", "deployment file"),
        (["PLAIN", "--target", "cloud"], "unknown target: cloud", "HOST:PORT"),
        (["PLAIN", "--skip", "smok"], "unknown check: smok", "did you mean 'smoke'?"),
        (["PLAIN", "--budget", "p98 < 1s"], "unknown metric 'p98'", "did you mean"),
        (["PLAIN", "--budget", "p99 < 2x"], "relative to a baseline", "--baseline"),
        (["PLAIN", "--budget", "p99 < 1s", "--load", "0"], "budgets need a load test", "--load"),
        (["PLAIN", "--metric", "accuracy>=0.9"], "a metric needs a data set", "--dataset"),
        (["PLAIN", "--dataset", "nowhere.csv"], "nowhere.csv does not exist", "--dataset"),
        (["PLAIN", "--baseline", "7"], "has no version 7", "versions there: 1"),
        (["PLAIN", "--ignore", "TFS999"], "unknown rule 'TFS999'", ""),
        (["PLAIN", "--image", "a:1", "--target", "embedded"], "--image needs the target docker", "--target docker"),
    ],
)
def test_a_mistake_is_a_usage_error(arguments, message, hint, capsys):
    assert run(["verify", *(str(PLAIN) if word == "PLAIN" else word for word in arguments)]) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert hint in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("kind", ["below a file", "a name that is taken"])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_checked(kind, tmp_path, capsys):
    folder = tmp_path / "report"
    if kind == "below a file":
        folder.write_text("")
        folder = folder / "deeper"
    else:
        (folder / "report.html").mkdir(parents=True)
    assert run(["verify", str(PLAIN), "--report", str(folder)]) == 3
    written = capsys.readouterr()
    assert written.out == ""
    assert written.err.startswith(f"error: cannot write to {folder}: ")


def test_a_server_that_is_not_there_is_the_environment(capsys, tmp_path):
    (tmp_path / "verdict.json").write_text("of an earlier run")
    nobody = ["--target", f"127.0.0.1:{free_port()}", "--skip", "parity", "--report", str(tmp_path)]
    assert run(["verify", str(PLAIN), *nobody]) == 3
    assert "does not answer" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_deployment_file_is_verified_with_its_labels_and_its_batching(tmp_path):
    shutil.copytree(PLAIN, tmp_path / "plain")
    shutil.copytree(PLAIN / "1", tmp_path / "plain/2")
    file = tmp_path / "shop.yaml"
    file.write_text(
        "name: shop\nserver: {target: embedded}\nbatching: {max_batch_size: 8, batch_timeout_micros: 1000}\nmodels:\n"
        "  - {name: plain, base_path: plain, versions: {specific: [1, 2]}, labels: {stable: 1, canary: 2}}\n"
    )
    done = verify(file, "--json", "--load", "0", "--skip", "parity")
    assert done.returncode == 0, done.stderr
    checks = json.loads(done.stdout)["checks"]
    assert {check["model"] for check in checks} == {"plain 1", "plain 2"}
    labels = {(check["model"], check["about"]) for check in checks if check["id"] == "load.label"}
    assert labels == {("plain 1", "label stable"), ("plain 2", "label canary")}
    assert not (tmp_path / ".tfs-deploy").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_process_and_no_file(number, tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [*COMMAND, str(PLAIN), "--load", "60"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )

    def children() -> list[int]:
        """Return the server and the model's process: both have this folder in their environment."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                mine = f"TMPDIR={tmp_path}".encode() in (entry / "environ").read_bytes()
            except OSError:
                continue
            if mine and int(entry.name) != process.pid:
                found.append(int(entry.name))
        return found

    until(lambda: len(children()) >= 2 and list(tmp_path.iterdir()))
    process.send_signal(number)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    # one that was just being started ends with its parent, a moment later
    until(lambda: not children())
    assert list(tmp_path.iterdir()) == []
