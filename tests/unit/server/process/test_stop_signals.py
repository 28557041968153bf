# SPDX-License-Identifier: Apache-2.0
"""A server process is asked to stop by a signal, at whatever moment that comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tfs_deploy.server.process.stop_signals import StopRequest, stop_signals

#: signals that come again and again while the request is being looked at
HAIL = """
import signal
from tfs_deploy.server.process.stop_signals import stop_signals
with stop_signals():
    signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGTERM))
# not before: a timer that runs out while its signal is ignored is not started again by Linux
signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
for _ in range(300):
    with stop_signals() as stop:
        signal.signal(signal.SIGALRM, signal.getsignal(signal.SIGTERM))
        assert stop.wait(20)
        for _ in range(1000):
            assert stop.wait(0)
signal.setitimer(signal.ITIMER_REAL, 0)
"""


def test_a_signal_may_come_at_any_moment():
    done = subprocess.run([sys.executable, "-c", HAIL], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_wait_and_its_handlers_are_put_back(number):
    before = signal.getsignal(number)
    with stop_signals() as stop:
        assert not stop.wait(0.01)
        assert not stop.is_set()
        killer = threading.Timer(0.05, os.kill, (os.getpid(), number))
        killer.start()
        began = time.monotonic()
        assert stop.wait(60)
        assert time.monotonic() - began < 30
        assert stop.is_set()
        killer.join()
    assert signal.getsignal(number) is before


def test_it_stays_asked_for():
    stop = StopRequest()
    stop.set()
    assert [stop.wait(0), stop.wait(60), stop.is_set()] == [True, True, True]
