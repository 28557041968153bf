# SPDX-License-Identifier: Apache-2.0
"""Waiting for models: a server opens with one version of each, a test with all of them."""

from __future__ import annotations

import threading

from support.live import until
from tfs_deploy.server.models.states import EventBus, ServableId, State, StateMonitor, VersionState

ONE, TWO = ServableId("m", 1), ServableId("m", 2)


def test_one_version_is_enough_for_a_server_and_not_for_a_test():
    bus = EventBus()
    monitor = StateMonitor(bus)
    bus.publish(VersionState(ONE, State.LOADING))
    bus.publish(VersionState(TWO, State.AVAILABLE))
    assert monitor.wait_until_available(["m"]) == [VersionState(TWO, State.AVAILABLE)]

    settled: list[list[VersionState]] = []
    waiting = threading.Thread(target=lambda: settled.append(monitor.wait_until_settled([ONE, TWO])), daemon=True)
    waiting.start()
    waiting.join(0.05)
    assert (waiting.is_alive(), settled) == (True, [])
    bus.publish(VersionState(ONE, State.AVAILABLE))
    until(lambda: settled)
    assert [state.id for state in settled[0]] == [ONE, TWO]


def test_a_version_that_failed_is_not_waited_for():
    bus = EventBus()
    monitor = StateMonitor(bus)
    bus.publish(VersionState(ONE, State.END))
    assert monitor.wait_until_settled([ONE]) == [VersionState(ONE, State.END)]
