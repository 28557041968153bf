# SPDX-License-Identifier: Apache-2.0
"""Fixtures and settings that every test shares."""

from __future__ import annotations

import collections
import gc
import json
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest
import xdist.workermanage

from support import live, no_skips

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

pytest.register_assert_rewrite("support.rollout_scenarios")  # scenarios that tests of several places share

# A shell ignores SIGINT in what it runs in the background, nohup SIGHUP, and so would every process that a test starts
# and ends with one.
for number, default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, default)

# Interrupted, a worker stops the servers of its tests: more than the 10 s after which it would be killed.
xdist.workermanage.NodeManager.EXIT_TIMEOUT = 100

HANDLERS = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

hypothesis.settings.register_profile("ci", max_examples=60, deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("full", max_examples=2000, deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("TFS_DEPLOY_HYPOTHESIS", "ci"))

DATA = Path(__file__).parent / "data"

#: seconds that the tests of each file took, as ``./scripts/test --record-durations`` last found
DURATIONS = Path(__file__).with_name("durations.json")
#: seconds of a file that is not there yet: more than most, so that it does not begin last
UNKNOWN = 30.0


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0].removeprefix("tests/")


class Durations:
    """Adds up what the tests of each file take, and writes it down; a file that was skipped keeps its duration."""

    def __init__(self) -> None:
        self.seconds: collections.Counter[str] = collections.Counter()
        self.ran: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        path = file_of(report.nodeid)
        self.seconds[path] += report.duration
        if report.when == "call" and not report.skipped:
            self.ran.add(path)

    def pytest_sessionfinish(self) -> None:
        known = json.loads(DURATIONS.read_text())
        known.update((path, round(self.seconds[path], 1)) for path in self.ran)
        kept = {path: known[path] for path in sorted(known) if (DURATIONS.parent / path).exists()}
        DURATIONS.write_text(json.dumps(kept, indent=0) + "\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--record-durations", action="store_true", help=f"write down in {DURATIONS.name} what files take")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--record-durations") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Durations())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first, so that none is left for the end of a run of several workers; leave out the long forms."""
    durations = json.loads(DURATIONS.read_text())
    items.sort(key=lambda item: -durations.get(file_of(item.nodeid), UNKNOWN))
    if os.environ.get("TFS_DEPLOY_FULL"):
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="long form: scripts/test --full"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return no_skips.failed_if_skipped((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return no_skips.failed_if_skipped((yield))


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Give signals their handlers back: a command that is called as a function keeps its own until the process ends."""
    yield
    for number, handler in HANDLERS.items():
        if signal.getsignal(number) is not handler:
            signal.signal(number, handler)


@pytest.fixture(scope="session")
def models() -> Path:
    """TensorFlow Serving's public test models and the model zoo of the recorded replies."""
    return DATA / "models"


@pytest.fixture
def free_port() -> int:
    """A TCP port nobody listens on."""
    return live.free_port()


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of the garbage collector's sight: it stays to the end anyway."""
    gc.collect()
    gc.freeze()
