# SPDX-License-Identifier: Apache-2.0
"""The pytest fixture ``model_server``: ``pytest_plugins = ["tfs_deploy.server.pytest_plugin"]`` in conftest.py."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from tfs_deploy.server.testing import TestServer, serve_models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def model_server() -> Iterator[Callable[..., TestServer]]:
    """Start servers with ``model_server({"name": model})``; they end with the test."""
    with contextlib.ExitStack() as stack:

        def start(models: Any, **options: Any) -> TestServer:
            return stack.enter_context(serve_models(models, **options))

        yield start
