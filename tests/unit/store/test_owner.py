# SPDX-License-Identifier: Apache-2.0
"""Whose staging directory it is, and whether that process still lives."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import time

import pytest

from tfs_deploy.host.processes import start_time
from tfs_deploy.savedmodel.versions import version_number
from tfs_deploy.store import owner

ME = owner.current()


def test_a_staging_name_is_no_version_and_leads_back_to_its_owner():
    name = ME.staging_name()
    assert version_number(name) is None
    assert owner.parse(name) == ME
    assert name != ME.staging_name()


@pytest.mark.parametrize("name", ["1", ".tmp", "saved_model.pb", ".tfs-deploy-staging", ".tfs-deploy-staging.a.b"])
def test_other_names_have_no_owner(name):
    assert owner.parse(name) is None


def test_this_process_lives():
    assert not owner.is_dead(ME, ME, newest_change=0)


def test_a_process_that_ended_is_dead():
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    started = start_time(child.pid)
    assert started is not None
    other = dataclasses.replace(ME, pid=child.pid, start=started)
    assert not owner.is_dead(other, ME, newest_change=0)
    child.kill()
    deadline = time.monotonic() + 20
    while not owner.is_dead(other, ME, newest_change=time.time()):  # dead already as a zombie, before it is reaped
        assert time.monotonic() < deadline
    child.communicate()
    assert owner.is_dead(other, ME, newest_change=time.time())


@pytest.mark.parametrize(
    ("change", "age", "dead"),
    [
        ({"start": ME.start + 1}, 0, True),  # the pid was given to another process
        ({"boot": "another"}, 0, True),  # the machine was started again
        ({"host": "elsewhere"}, 3600, False),
        ({"host": "elsewhere", "boot": "another"}, 3600, False),
        ({"host": "elsewhere"}, owner.FOREIGN_GRACE_S + 60, True),
        ({"space": "1"}, 3600, False),  # another container: its pids mean nothing here
        ({"space": "1"}, owner.FOREIGN_GRACE_S + 60, True),
    ],
)
def test_who_counts_as_dead(change, age, dead):
    other = dataclasses.replace(ME, **change)
    assert owner.is_dead(other, ME, newest_change=time.time() - age) is dead
