# SPDX-License-Identifier: Apache-2.0
"""Hooks and notifications: commands and URLs with JSON; one that fails objects, one that is told cannot."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from support.live import until
from tfs_deploy.errors import UsageError
from tfs_deploy.host.processes import start_time
from tfs_deploy.rollout.controller.hooks import RolloutHooks
from tfs_deploy.rollout.gates.registry import parse_gate
from tfs_deploy.rollout.machine.hook import RolloutHook
from tfs_deploy.rollout.machine.plan import RolloutPlan
from tfs_deploy.rollout.setup import require_programs

FACTS = {"model": "digits", "from": 1, "to": 2, "phase": "promote", "status": "running"}


def hooks_of(texts, notify=(), **options) -> RolloutHooks:
    return RolloutHooks([RolloutHook.parse(text) for text in texts], notify, **options)


@pytest.fixture
def script(tmp_path):
    def make(name: str, text: str) -> str:
        path = tmp_path / name
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return str(path)

    return make


def test_hooks_get_the_facts_and_run_in_their_order(tmp_path, script):
    first = script("first", f"cat > {tmp_path}/facts\n")
    second = script("second", f'echo "$TFS_DEPLOY_MODEL $TFS_DEPLOY_TO $1" > {tmp_path}/words\n')
    hooks = hooks_of([f"before:promote={first}", f"before:promote={second} 'a b'", "after:promote=false"], [])

    assert hooks.run("before", "promote", FACTS) is None
    assert json.loads((tmp_path / "facts").read_text()) == {**FACTS, "when": "before"}
    assert (tmp_path / "words").read_text() == "digits 2 a b\n"


def test_a_hook_that_fails_objects_with_its_last_line_and_ends_the_row(tmp_path, script):
    no = script("no", "echo about to say; echo 'not on a Friday' >&2; exit 3\n")
    never = script("never", f"touch {tmp_path}/ran\n")
    hooks = hooks_of([f"after:step={no}", f"after:step={never}"], [])

    objection = hooks.run("after", "step", FACTS)

    assert objection == f"the hook after step failed: {no} ended with exit code 3: not on a Friday"
    assert not (tmp_path / "ran").exists()


def test_a_hook_that_does_not_end_objects(script):
    hooks = hooks_of([f"before:load={script('slow', 'sleep 60')}"], [], timeout=0.3)

    assert "did not end within 0.3 s" in (hooks.run("before", "load", FACTS) or "")


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "is not a valid hook", "before:promote="),
        ("promote=./x", "is not a valid hook", "before:promote="),
        ("during:promote=./x", "is not a valid hook", "before:promote="),
        ("before:promot=./x", "unknown phase: promot", "did you mean 'promote'?"),
        ("before:x=./x", "unknown phase: x", "phases: preflight"),
        ("before:rollback=./x", "a hook cannot run before a rollback", "after:rollback"),
        ("before:load=", "the command is empty", ""),
        ("before:load='", "cannot be split into words", ""),
    ],
)
def test_what_is_no_hook(text, message, hint):
    with pytest.raises(UsageError, match=message) as caught:
        RolloutHook.parse(text)
    assert hint in (caught.value.hint or "")


def test_a_target_may_hold_equal_signs_and_colons():
    assert RolloutHook.parse("after:step=http://x:80/?a=b") == RolloutHook("after", "step", "http://x:80/?a=b")


def test_notifications_go_out_in_order_and_trouble_is_told_not_raised(tmp_path, script, free_port):
    told = script("told", f"cat >> {tmp_path}/log; echo >> {tmp_path}/log\n")
    troubles: list[str] = []
    url = f"http://127.0.0.1:{free_port}/"
    hooks = hooks_of([], [told, url], on_trouble=troubles.append)

    hooks.tell({"phase": "load"})
    hooks.tell({"phase": "smoke"})
    hooks.close()

    assert [json.loads(line)["phase"] for line in (tmp_path / "log").read_text().splitlines()] == ["load", "smoke"]
    assert len(troubles) == 2
    assert troubles[0].startswith(f"notification not delivered: {url} cannot be read")


def test_without_notifications_there_is_no_thread():
    hooks = hooks_of([], [])
    hooks.tell(FACTS)
    assert hooks._teller is None
    hooks.close()


def test_commands_run_where_the_rollout_was_started(tmp_path):
    script = tmp_path / "tell.sh"
    script.write_text("#!/bin/sh\npwd > told\n")
    script.chmod(0o755)
    hooks = hooks_of(["after:load=./tell.sh"], [], directory=str(tmp_path))

    hooks.require()
    assert hooks.run("after", "load", {}) is None
    assert (tmp_path / "told").read_text().strip() == str(tmp_path)


@pytest.mark.parametrize("target", ["./nosuch.sh", "no-such-program-anywhere -x", "./plain.txt"])
def test_a_command_that_is_not_there_is_said_before_anything_begins(tmp_path, target):
    (tmp_path / "plain.txt").write_text("not executable")
    for hooks in (([f"before:promote={target}"], []), ([], [target])):
        with pytest.raises(UsageError, match="cannot be run: it does not exist, or is not executable"):
            hooks_of(*hooks, directory=str(tmp_path)).require()
    gates = (parse_gate("errors=1%"), parse_gate(f"command={target} :: $.x < 1"))
    plan = RolloutPlan("m", 1, 2, gates=gates, directory=str(tmp_path))
    with pytest.raises(UsageError, match="cannot be run"):
        require_programs(plan)


def test_a_command_with_a_placeholder_for_a_name_is_left_to_its_time(tmp_path):
    gates = (parse_gate("command=./check-$model"), parse_gate("command=true"))
    require_programs(RolloutPlan("m", 1, 2, gates=gates, directory=str(tmp_path)))


def test_a_command_that_prints_without_end_is_killed(script):
    began = time.monotonic()
    objection = hooks_of([f"before:load={script('loud', 'exec yes')}"], []).run("before", "load", {})
    assert objection.endswith("loud printed more than 8 MB")
    assert time.monotonic() - began < 30


def test_a_command_whose_child_leaves_and_keeps_the_pipes_is_not_waited_for(script, tmp_path, caplog):
    text = f"setsid sh -c 'echo $$ > {tmp_path}/child; exec sleep 60' &\n"
    text += f"while [ ! -s {tmp_path}/child ]; do :; done\n"
    hooks = hooks_of([f"before:load={script('daemon', text)}"], [], timeout=60.0)
    began = time.monotonic()
    objection = hooks.run("before", "load", {})
    assert objection is None, "the command itself has ended well"
    assert time.monotonic() - began < 20
    child = int((tmp_path / "child").read_text())
    until(lambda: start_time(child) is None)
    assert "left a process behind that held its output, and was killed" in caplog.text


def test_what_a_command_leaves_running_on_purpose_stays(script, tmp_path):
    text = f"sleep 60 > /dev/null 2>&1 < /dev/null &\necho $! > {tmp_path}/child\n"
    assert hooks_of([f"before:load={script('starter', text)}"], []).run("before", "load", {}) is None
    os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


def test_a_command_that_does_not_read_what_it_is_given(script):
    hooks = hooks_of([f"before:load={script('deaf', 'exit 0')}"], [])
    assert hooks.run("before", "load", {"much": "x" * (1 << 20)}) is None
