# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin: fixtures that serve models inside a test session (``docs/testing.md``).

pytest loads it in every session where the package is installed, so this module imports nothing but pytest itself.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tfs_deploy.server.testing import Served, TestServer


@pytest.fixture(scope="session")
def serving_models() -> Mapping[str, Served]:
    """Models that ``serving`` serves, by name: base paths, function models, or versions of them. Define your own."""
    from tfs_deploy.errors import UsageError

    raise UsageError(
        "the fixture serving has no models", hint='define the session fixture serving_models: return {"NAME": model}'
    )


@pytest.fixture(scope="session")
def serving_options() -> Mapping[str, Any]:
    """Further arguments of ``serve_models`` for ``serving``: ``labels``, ``rest``. Define your own for others."""
    return {}


@pytest.fixture(scope="session")
def serving(serving_models: Mapping[str, Served], serving_options: Mapping[str, Any]) -> Iterator[TestServer]:
    """Serve ``serving_models`` until the session ends; each worker of pytest-xdist has a server of its own."""
    from tfs_deploy.server.testing import serve_models

    with serve_models(serving_models, **serving_options) as server:
        yield server


@pytest.fixture
def model_server() -> Iterator[Callable[..., TestServer]]:
    """Start servers with ``model_server({"name": model})``; they end with the test."""
    from tfs_deploy.server.testing import serve_models

    with contextlib.ExitStack() as stack:

        def start(models: Any, **options: Any) -> TestServer:
            return stack.enter_context(serve_models(models, **options))

        yield start
