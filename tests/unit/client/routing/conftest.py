# SPDX-License-Identifier: Apache-2.0
"""The traffic file of a test, and the folder of its recorders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from support.recorded_requests import MODEL
from tfs_deploy.state.request_tallies import requests_dir

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "traffic.json"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return requests_dir(tmp_path, MODEL)
