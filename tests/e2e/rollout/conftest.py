# SPDX-License-Identifier: Apache-2.0
"""Deployments of the model zoo on the embedded server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from support import rollout_scenarios
from support.consumers import Consumers
from support.live import free_ports
from support.zoo_deployments import Pool, Zoo, serving


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.close()


@pytest.fixture
def zoo(tmp_path: Path, models: Path, pool: Pool) -> Iterator[Zoo]:
    """A running deployment that serves version 1 as stable."""
    with serving(Zoo.make(tmp_path, models / "zoo", {1: 1, 2: 2}, pool.ports), pool) as zoo:
        yield zoo


@pytest.fixture
def idle_zoo(tmp_path: Path, models: Path) -> Zoo:
    """The same deployment on ports of its own, without a server."""
    return Zoo.make(tmp_path, models / "zoo", {1: 1, 2: 2}, free_ports(2))


@pytest.fixture(scope="session")
def candidates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A good model and bad candidates for its next version, by name (see ``make_candidates``)."""
    return rollout_scenarios.make_candidates(tmp_path_factory.mktemp("candidates"))


@pytest.fixture
def shop(tmp_path: Path, candidates: Path, pool: Pool) -> Iterator[Zoo]:
    """A running deployment of the good model, version 1."""
    with serving(Zoo.make(tmp_path, candidates, {1: "good"}, pool.ports), pool) as shop:
        yield shop


@pytest.fixture
def consumers() -> type[Consumers]:
    return Consumers


@pytest.fixture
def cli() -> Callable[..., SimpleNamespace]:
    """Run a command in this process: ``returncode``, ``stdout`` and ``stderr`` as of one of its own."""
    return rollout_scenarios.cli
