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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the long forms to ``scripts/test --full``."""
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
