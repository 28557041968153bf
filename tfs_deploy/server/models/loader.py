# SPDX-License-Identifier: Apache-2.0
"""Loads a version directory as a servable, as TensorFlow Serving's SavedModelBundleFactory does."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tfs_deploy.errors import FailedPreconditionError, NotFoundError, StatusError
from tfs_deploy.runtime.engine import Engine
from tfs_deploy.server.batching.options import BatchOptions, check_options, model_options
from tfs_deploy.server.batching.runner import BatchingRunner
from tfs_deploy.server.batching.scheduler import BatchScheduler
from tfs_deploy.server.inference.servable import ModelServable
from tfs_deploy.server.models.warmup import warm_up

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tfs_deploy.server.metrics import ServerMetrics
    from tfs_deploy.server.models.states import ServableId

Array = np.ndarray[Any, Any]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LoaderOptions:
    """The flags that concern loading; ``session_config`` is a serialized tensorflow.ConfigProto."""

    tags: Sequence[str] = ("serve",)
    session_config: bytes = b""
    warmup: bool = True
    warmup_iterations: int = 1
    check_method: bool = False
    batching: BatchOptions | None = None
    per_model_batching: bool = False


class CountedEngine:
    """An engine whose runs are counted."""

    def __init__(self, engine: Engine, metrics: ServerMetrics) -> None:
        self.signatures = engine.signatures
        self.signature_defs = engine.signature_defs
        self.close = engine.close
        self._compute = engine.compute
        self._metrics = metrics

    def compute(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout: float | None = None
    ) -> list[Array]:
        """Feed and fetch tensors by their names in the graph; raises ``StatusError``."""
        started = time.perf_counter()
        try:
            return self._compute(feeds, fetches, timeout=timeout)
        finally:
            self._metrics.graph_ran((time.perf_counter() - started) * 1e6)


class SavedModelLoader:
    """Loads versions with the runtime's engine, batches their requests if that is enabled, and warms them up."""

    def __init__(self, options: LoaderOptions, metrics: ServerMetrics) -> None:
        self._options = options
        self._metrics = metrics
        self._scheduler = BatchScheduler(options.batching.threads) if options.batching is not None else None

    def __call__(self, servable: ServableId, path: Path) -> ModelServable:
        """Return one version as a servable; raises ``StatusError`` with the server's code and text."""
        check_version(servable, path)
        engine = self._load(path)
        try:
            runner = self._runner(engine, path)
            loaded = ModelServable(engine, name=servable.name, metrics=self._metrics, runner=runner)
            self._warm_up(loaded, servable, path)
        except BaseException:
            engine.close()
            raise
        return loaded

    def _runner(self, engine: CountedEngine, path: Path) -> BatchingRunner | None:
        """Return the batching in front of an engine, ``None`` if it is not enabled."""
        if self._scheduler is None or self._options.batching is None:
            return None
        options = model_options(self._options.batching, path, per_model=self._options.per_model_batching)
        if options is None:
            return None
        check_options(options)
        return BatchingRunner(engine, options, self._scheduler, self._metrics)

    def _load(self, path: Path) -> CountedEngine:
        started = time.perf_counter()
        try:
            engine = Engine.load(path, tags=self._options.tags, config=self._options.session_config)
        except StatusError:
            self._metrics.load_attempts.add(str(path), "fail")
            raise
        self._metrics.load_attempts.add(str(path), "success")
        self._metrics.load_latency.add(str(path), by=int((time.perf_counter() - started) * 1e6))
        return CountedEngine(engine, self._metrics)

    def _warm_up(self, loaded: ModelServable, servable: ServableId, path: Path) -> None:
        if not self._options.warmup:
            return
        started = time.perf_counter()
        options = self._options
        records = warm_up(loaded, path, iterations=options.warmup_iterations, check_method=options.check_method)
        if records:
            # a warmup that fails leaves no trace here, nor in the original
            self._metrics.warmup_latency.add((time.perf_counter() - started) * 1e6, str(path), "OK")
            self._metrics.warmup_records.add(str(path), by=records)
            _log.info("warmed up %s version %d with %d requests", servable.name, servable.version, records)


def check_version(servable: ServableId, path: Path) -> None:
    """Refuse a version directory that the server refuses before it loads anything."""
    if not path.is_dir():
        raise FailedPreconditionError(
            f"Error while attempting to reserve resources to load servable {servable}: {path}; Not a directory"
        )
    if not any((path / name).is_file() for name in ("saved_model.pb", "saved_model.pbtxt")):
        raise NotFoundError(
            "Specified file path does not appear to contain a SavedModel bundle (should have a file called "
            f"`saved_model.pb`)\nSpecified file path: {path}"
        )
