"""Fixtures and settings that every test shares."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import hypothesis
import pytest

import live

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

pytest.register_assert_rewrite("rolling")  # scenarios that tests of several places share

# A shell ignores SIGINT in what it runs in the background, and so would every process that a test starts and
# interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

hypothesis.settings.register_profile("ci", max_examples=60, deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("full", max_examples=2000, deadline=None, print_blob=True)
hypothesis.settings.load_profile(os.environ.get("TFS_DEPLOY_HYPOTHESIS", "ci"))

DATA = Path(__file__).parent / "data"


#: files that take longest; they begin first, so that none of them is left for the end of a run of several workers
LONGEST = (
    "docker/test_faults.py",
    "cli/test_up_and_down.py",
    "e2e/test_demo.py",
    "cli/test_export_and_run.py",
    "docker/test_rollouts.py",
    "docker/test_life.py",
    "conformance/test_recorded_state.py",
    "e2e/rollout/test_bad_candidates.py",
    "e2e/rollout/test_rollouts_on_a_server.py",
    "e2e/rollout/test_strategies.py",
    "e2e/test_bad_input.py",
)
#: then these, whose tests start processes; unit tests come last
FOLDERS = ("guard", "conformance", "e2e", "docker", "cli", "packaging", "contract")


def begins(item: pytest.Item) -> int:
    """Return which place a test's file has in the order of all."""
    path = item.nodeid.partition("::")[0].removeprefix("tests/")
    if path in LONGEST:
        return LONGEST.index(path)
    folder = path.partition("/")[0]
    return len(LONGEST) + (FOLDERS.index(folder) if folder in FOLDERS else len(FOLDERS))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long files first, and leave the long forms to ``scripts/test --full``."""
    items.sort(key=begins)
    if os.environ.get("TFS_DEPLOY_FULL"):
        return
    for item in items:
        if item.get_closest_marker("full"):
            item.add_marker(pytest.mark.skip(reason="long form: scripts/test --full"))


@pytest.fixture(scope="session")
def models() -> Path:
    """TensorFlow Serving's public test models and the model zoo of the recorded replies."""
    return DATA / "models"


@pytest.fixture
def free_port() -> int:
    """A TCP port nobody listens on."""
    return live.free_port()
