# SPDX-License-Identifier: Apache-2.0
"""Keep the log lines of TensorFlow and Keras off the user's screen while the toolkit works."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import sys
import threading
from typing import TYPE_CHECKING

from tfs_deploy.errors import EnvironmentFault, MissingExtraError
from tfs_deploy.runtime.library import quiet_start
from tfs_deploy.savedmodel.graph.op_libraries import op_libraries

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LOGGERS = ("absl", "tensorflow")


def load_tensorflow() -> None:
    """Import TensorFlow without its first log lines; raises ``MissingExtraError`` if it is not installed."""
    if "tensorflow" in sys.modules:
        _load_ops()
        return
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingExtraError("tensorflow", "export")
    # Read by TensorFlow's C++ part when it is first imported.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_start():
        import tensorflow as tf
    del tf
    _load_ops()


def _load_ops() -> None:
    """Make the ops of ``op_libraries`` known to TensorFlow's Python package, which takes a repeated load."""
    for path in op_libraries():
        _load_op_library(path)


def _load_op_library(path: Path) -> None:
    import tensorflow as tf

    try:
        tf.load_op_library(str(path))
    except (tf.errors.OpError, RuntimeError) as error:
        raise EnvironmentFault(
            f"the op library {path} cannot be loaded: {error}",
            hint=f"it must be built for TensorFlow {tf.__version__}, on this platform",
        ) from error


class _Quiet:
    """Counts running exports, so that those in several threads do not restore each other's log levels."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0
        self._levels: dict[str, int] = {}

    def enter(self) -> None:
        with self._lock:
            if self._count == 0:
                self._levels = {name: logging.getLogger(name).level for name in _LOGGERS}
                for name in _LOGGERS:
                    logging.getLogger(name).setLevel(logging.ERROR)
            self._count += 1

    def leave(self) -> None:
        with self._lock:
            self._count -= 1
            if self._count == 0:
                for name, level in self._levels.items():
                    logging.getLogger(name).setLevel(level)


_QUIET = _Quiet()


@contextlib.contextmanager
def silence_logs() -> Iterator[None]:
    """Hold back TensorFlow's log lines below ERROR, and restore the levels afterwards."""
    _QUIET.enter()
    try:
        yield
    finally:
        _QUIET.leave()
