# SPDX-License-Identifier: Apache-2.0
"""The guide to rollouts and the scripts to copy: every command is right, and does what it says under load."""

from __future__ import annotations

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import yaml

from support.live import until
from tfs_deploy.cli.main import group
from tfs_deploy.client import Client
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.launch.up import down

ROOT = Path(__file__).resolve().parents[3]
GUIDE = (ROOT / "docs/rollouts.md").read_text()
EXAMPLES = ROOT / "scripts/examples"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
LINES = [line for language, text in BLOCKS if language == "sh" for line in text.splitlines() if line]
#: what a command line in the guide takes hours for, in seconds
SCALED = {"bake": "1200ms", "keep-warm": "100ms", "check-every": "1200ms", "samples-timeout": "300ms"}


def taken_apart(line: str) -> tuple[str, bool, int]:
    """Return a line without its comment, whether it goes to the background, and its exit code."""
    text, _, comment = line.partition("  #")
    code = re.match(r" exit code (\d)", comment)
    background = text.rstrip().endswith(" &")
    return text.rstrip().removesuffix(" &"), background, int(code[1]) if code else 0


def parse(arguments: list[str]) -> None:
    """Let click read a command line, without carrying it out."""
    command: click.Command = group
    context = None
    while isinstance(command, click.Group):
        context = command.make_context("x", list(arguments), parent=context)
        _, command, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
    command.make_context("x", list(arguments), parent=context)


def test_every_command_of_the_guide_and_the_scripts_can_be_read():
    scripts = [
        line
        for name in ("rollout", "rollback", "ci-rollout")
        for line in (EXAMPLES / name).read_text().replace("\\\n", " ").splitlines()
        if line.strip().startswith("tfs-deploy")
    ]
    values = {"file": "digits.yaml", "model": "digits", "version": "2"}
    lines = [taken_apart(line)[0] for line in LINES if line.startswith("tfs-deploy")]
    for line in scripts:
        optional = re.sub(r"\$\{(\w+):\+([^}]*?)(\}(?= |$))", r"\2", line.partition(" >")[0].partition(" ||")[0])
        default = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", optional)
        lines.append(re.sub(r"\$(\w+)", lambda match: values.get(match[1], "x"), default))

    for line in lines:
        parse(shlex.split(line)[1:])

    assert len(lines) > 25


def test_the_workflow_calls_the_script_that_is_there():
    workflow = yaml.safe_load((EXAMPLES / "github-actions.yml").read_text())
    runs = [step["run"] for step in workflow["jobs"]["rollout"]["steps"] if "run" in step]

    called = [ROOT / line.split()[0] for line in runs if line.startswith("scripts/")]
    assert called == [EXAMPLES / "ci-rollout"]
    assert all(os.access(EXAMPLES / name, os.X_OK) for name in ("rollout", "rollback", "ci-rollout", "rollout.py"))


@pytest.fixture
def digits(idle_zoo):
    """The deployment of the guide: a file digits.yaml with a model digits, which is the zoo; not yet up."""
    document = yaml.safe_load(next(text for language, text in BLOCKS if language == "yaml"))
    server = yaml.safe_load(idle_zoo.file.read_text())["server"]
    document["server"] = {key: server[key] for key in ("grpc_port", "rest_port")}
    document["models"][0]["base_path"] = "models/zoo"
    file = idle_zoo.file.with_name("digits.yaml")
    file.write_text(yaml.safe_dump(document))
    idle_zoo.file, idle_zoo.name, idle_zoo.deployment = file, "digits", load_deployment(file)
    idle_zoo.state_dir = idle_zoo.deployment.state_dir
    idle_zoo.traffic_path = idle_zoo.state_dir / "traffic.json"
    yield idle_zoo
    down(idle_zoo.deployment)


def in_shell(zoo, command: list[object], **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = {**os.environ, "PATH": path, "BAKE": "800ms", "STEPS": "50,100", "KEEP_WARM": "0s", **environment}
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=300, cwd=zoo.file.parent, env=variables)


def stable(zoo) -> int:
    with Client(zoo.address) as client:
        return client.metadata("digits", label="stable").version


def test_the_script_for_a_pipeline(digits, cli):
    assert cli("up", digits.file).returncode == 0

    done = in_shell(digits, [EXAMPLES / "ci-rollout", digits.file.name, "digits", 2])

    assert done.returncode == 0, done.stderr
    artifacts = digits.file.parent / "artifacts"
    assert json.loads((artifacts / "rollout.json").read_text())["rollout"]["status"] == "done"
    assert "## Rollout of digits: version 1 to 2" in (artifacts / "rollout.md").read_text()
    assert "</svg>" in (artifacts / "rollout.html").read_text()
    assert stable(digits) == 2


@pytest.mark.full
def test_the_scripts_for_people(digits, cli, consumers):
    assert cli("up", digits.file).returncode == 0
    with consumers(digits, 2, model="digits", pause=0.003) as load:
        done = in_shell(digits, [EXAMPLES / "rollout", digits.file.name, "digits", 2])
        assert done.returncode == 0, done.stderr
        assert len(list((digits.file.parent / "rollout-reports").glob("digits-*.html"))) == 1
        back = in_shell(digits, [sys.executable, EXAMPLES / "rollout.py", digits.file.name, "digits", 1])
        assert back.returncode == 0, back.stderr
        assert "25 %: " in back.stdout
        assert stable(digits) == 1
        again = in_shell(digits, [EXAMPLES / "rollback", digits.file.name, "digits"])
        assert again.returncode == 0, again.stderr
        assert stable(digits) == 2
        missing = in_shell(digits, [sys.executable, EXAMPLES / "rollout.py", digits.file.name, "digits", 77])
        assert (missing.returncode, "has no version 77" in missing.stderr) == (2, True)
    assert load.failures == []


@pytest.mark.full
@pytest.mark.timeout(400)
def test_every_command_of_the_guide_does_what_it_says(digits, cli, consumers, monkeypatch, tmp_path):
    for version in range(3, 13):
        digits.add(version, like=2 - version % 2, answers=digits.answers[2 - version % 2])
    for name, text in (("kpi.sh", "echo '{\"conversion\": 0.2}'"), ("approve.sh", "true"), ("tell.sh", "cat >> told")):
        path = digits.file.with_name(name)
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    monkeypatch.chdir(digits.file.parent)
    lines = iter(LINES)
    first = next(lines)
    assert first == "tfs-deploy up digits.yaml"
    assert cli(*shlex.split(first)[1:]).returncode == 0

    with consumers(digits, 2, model="digits", pause=0.003) as load:
        background = None
        for line in lines:
            command, aside, code = taken_apart(line)
            if line.startswith("kill "):
                background.kill()
                background.communicate()
                continue
            words = scaled(command, digits, "6s" if aside else SCALED["bake"])
            if aside:
                background = started(digits, words)
                continue
            result = cli(*words[1:])
            assert result.returncode == code, f"{line}\n{result.stderr}"
            if "pause" in line:
                background.communicate(timeout=300)
        told = [json.loads(text) for text in (tmp_path / "told").read_text().replace("}{", "}\n{").splitlines()]
        exec(next(text for language, text in BLOCKS if language == "python" and "Rollout(" in text), {})
    assert load.failures == []
    assert {"step", "promote", "retire"} <= {entry["phase"] for entry in told}
    assert stable(digits) == 12
    assert (tmp_path / "report.html").exists()


def scaled(command: str, zoo, bake: str) -> list[str]:
    """Return the words of a command with short times and the ports of this test."""
    words = shlex.split(command.replace("8500/8501", zoo.ports))
    times = {**SCALED, "bake": bake}
    for place, word in enumerate(itertools.islice(words, len(words) - 1)):
        if word.removeprefix("--") in times:
            words[place + 1] = times[word.removeprefix("--")]
    return words


def started(zoo, words: list[str]) -> subprocess.Popen[str]:
    """Start a rollout in the background and wait until its canary has traffic."""
    command = [sys.executable, "-m", "tfs_deploy", *words[1:]]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: '"canary"' in zoo.traffic_path.read_text())
    return process
