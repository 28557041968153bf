# SPDX-License-Identifier: Apache-2.0
"""The lock: one holder, named to everybody else, free when its process is gone."""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
import sys
import threading

import pytest

from tfs_deploy.errors import EnvironmentFault, LockedError, UsageError
from tfs_deploy.state import lock as lock_module
from tfs_deploy.state.lock import describe_holder, holder, lock, release, rollout_holder, rollout_purpose

HOLD = """
import pathlib, sys, time
from tfs_deploy.state.lock import lock
with lock(pathlib.Path(sys.argv[1]), "rollout of digits"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_told_who_has_it(tmp_path):
    with lock(tmp_path, "rollout of digits"):
        assert holder(tmp_path)["pid"] == os.getpid()
        with (
            pytest.raises(LockedError, match=rf"process {os.getpid()}\) since .*: rollout of digits") as caught,
            lock(tmp_path, "up"),
        ):
            pass
    assert caught.value.exit_code == 4
    assert caught.value.retriable
    assert holder(tmp_path) is None


def test_it_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), lock(tmp_path, "rollout"):
        raise ZeroDivisionError
    with lock(tmp_path, "up"):
        pass


def test_a_killed_holder_leaves_no_lock(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "held\n"
        assert holder(tmp_path)["pid"] == process.pid
        with pytest.raises(LockedError), lock(tmp_path, "up"):
            pass
    finally:
        process.kill()
        process.wait()
        process.stdout.close()

    assert holder(tmp_path) is None
    with lock(tmp_path, "up"):
        pass


def test_waiting_for_a_lock_says_for_whom_and_gets_it(tmp_path):
    words: list[str] = []
    first, told = threading.Event(), threading.Event()

    def hold() -> None:
        with lock(tmp_path, "rollout of digits"):
            first.set()
            told.wait(20)

    def on_wait(text: str) -> None:
        words.append(text)
        told.set()

    thread = threading.Thread(target=hold)
    thread.start()
    first.wait()
    with lock(tmp_path, "up", wait=20, on_wait=on_wait):
        assert holder(tmp_path)["purpose"] == "up"
    thread.join()
    assert len(words) == 1
    assert words[0].startswith("waiting for ")
    assert words[0].endswith(": rollout of digits")


def test_waiting_ends(tmp_path):
    with lock(tmp_path, "rollout"), pytest.raises(LockedError), lock(tmp_path, "up", wait=0.15):
        pass


def test_a_lock_that_is_released_by_force_can_be_taken_and_its_holder_notices(tmp_path):
    with lock(tmp_path, "rollout of digits") as held:
        held.check()
        assert release(tmp_path)["purpose"] == "rollout of digits"
        with pytest.raises(LockedError, match="released by force"):
            held.check()
        with lock(tmp_path, "up") as other:
            other.check()
            with pytest.raises(LockedError):
                held.check()
    assert holder(tmp_path) is None


def test_what_is_not_locked_cannot_be_released(tmp_path):
    with pytest.raises(UsageError, match="not locked"):
        release(tmp_path)


def test_a_lock_that_was_released_by_force_as_it_was_taken_is_taken_again(tmp_path, monkeypatch):
    (tmp_path / lock_module.NAME).touch()
    take = lock_module._take
    taken = []

    def take_late(descriptor: int, *, shared: bool) -> bool:
        if not taken:  # between the opening and the taking
            (tmp_path / lock_module.NAME).unlink()
            (tmp_path / lock_module.NAME).touch()
        taken.append(take(descriptor, shared=shared))
        return taken[-1]

    monkeypatch.setattr(lock_module, "_take", take_late)
    with lock(tmp_path, "up") as held:
        held.check()
    assert taken == [True, True]


def test_those_who_only_look_do_not_keep_a_holder_out(tmp_path):
    (tmp_path / lock_module.NAME).touch()
    descriptor = os.open(tmp_path / lock_module.NAME, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    leaves = threading.Timer(0.2, os.close, [descriptor])
    leaves.start()
    with lock(tmp_path, "up"):
        assert holder(tmp_path)["purpose"] == "up"
    leaves.join()


def test_the_next_holder_removes_what_a_killed_one_left_half_written(tmp_path):
    (tmp_path / "config.1").mkdir()
    left = [tmp_path / ".active.json.k3x_9abc.tmp", tmp_path / "config.1/.ssl.config.aaaaaaaa.tmp"]
    kept = [tmp_path / ".mine.tmp", tmp_path / "notes.tmp"]
    for path in (*left, *kept):
        path.touch()
    with lock(tmp_path, "up"):
        assert not any(path.exists() for path in left)
    assert all(path.exists() for path in kept)


def test_the_lock_is_taken_where_the_directory_is_there_and_where_it_is_not(tmp_path):
    for _ in range(2):
        with lock(tmp_path / "a" / "b", "up") as held:
            held.check()


def test_a_rollout_holds_the_lock_for_one_model(tmp_path):
    assert rollout_holder(tmp_path, "digits") is None
    with lock(tmp_path, rollout_purpose("digits")):
        assert rollout_holder(tmp_path, "digits")["pid"] == os.getpid()
        assert rollout_holder(tmp_path, "letters") is None
    with lock(tmp_path, "up"):
        assert rollout_holder(tmp_path, "digits") is None


def test_a_lock_that_is_given_back_names_no_holder(tmp_path):
    with lock(tmp_path, "a purpose that is longer than the next one"):
        pass
    assert (tmp_path / lock_module.NAME).read_bytes() == b""
    (tmp_path / lock_module.NAME).write_text("x" * 1000)
    with lock(tmp_path, "up"):
        assert holder(tmp_path)["purpose"] == "up"


def test_the_file_is_readable_by_all_and_writable_by_its_owner(tmp_path):
    before = os.umask(0)
    try:
        with lock(tmp_path, "up"):
            assert (tmp_path / lock_module.NAME).stat().st_mode & 0o777 == 0o644
    finally:
        os.umask(before)


def test_a_lock_that_cannot_be_opened_is_named(tmp_path):
    (tmp_path / lock_module.NAME).mkdir()
    with pytest.raises(EnvironmentFault, match="cannot be opened: Is a directory"), lock(tmp_path, "up"):
        pass


def test_looking_at_a_lock_does_not_keep_it(tmp_path):
    with lock(tmp_path, "up"):
        pass
    assert holder(tmp_path) is None
    with lock(tmp_path, "up"):
        assert describe_holder({}) == "another process, of which rollout.lock does not say more"
        assert describe_holder(holder(tmp_path)).endswith(": up")


def test_what_a_refused_caller_can_do(tmp_path):
    for option, hint in (("", "run the command again once it has ended"), ("--wait", r"wait for it \(--wait 5m\)")):
        with lock(tmp_path, "up"), pytest.raises(LockedError) as caught, lock(tmp_path, "up", option=option):
            pass
        assert re.match(f"{hint}, or stop that process; if it hangs: tfs-deploy lock release", caught.value.hint)


def test_a_holder_without_a_name_is_told_by_its_number(tmp_path, monkeypatch):
    monkeypatch.setenv("LOGNAME", "ada")
    with lock(tmp_path, "up"):
        assert holder(tmp_path)["holder"] == "ada"

    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(lock_module.getpass, "getuser", unknown)
    with lock(tmp_path, "up"):
        assert holder(tmp_path)["holder"] == str(os.getuid())


@pytest.fixture
def attempts(monkeypatch):
    """Return the moments at which a caller tries to take the lock, by a clock that only its pauses move."""
    moments: list[float] = []
    now = [0.0]
    take = lock_module._open
    monkeypatch.setattr(lock_module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(lock_module.time, "sleep", lambda seconds: now.__setitem__(0, round(now[0] + seconds, 6)))
    monkeypatch.setattr(lock_module, "_open", lambda path: (moments.append(now[0]), take(path))[1])
    return moments


@pytest.mark.parametrize(("wait", "moments"), [(0.0, [0.0]), (0.3, [0.0, 0.1, 0.2, 0.3])])
def test_a_caller_waits_for_as_long_as_it_said(tmp_path, attempts, wait, moments):
    with lock(tmp_path, "rollout of digits"):
        attempts.clear()
        with pytest.raises(LockedError), lock(tmp_path, "up", wait=wait):
            pass
    assert attempts == moments


def test_those_who_only_look_are_waited_for_two_seconds(tmp_path, attempts):
    with (tmp_path / lock_module.NAME).open("w") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        with pytest.raises(LockedError), lock(tmp_path, "up"):
            pass
    assert attempts == [pytest.approx(0.005 * number) for number in range(401)]
