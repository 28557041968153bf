# SPDX-License-Identifier: Apache-2.0
"""What smoke, rollout and rollback refuse before they ask any server."""

from __future__ import annotations

import subprocess

import pytest

from support.forked_command import run_command
from support.live import free_ports
from tfs_deploy.cli.shared.rollout_views import duration_text

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
        (["rollout", "resume", "FILE", "--model", "digits"], "digits was never rolled out", "rollout start"),
        (["rollout", "abort", "FILE", "--model", "digits"], "digits was never rolled out", "rollout start"),
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
