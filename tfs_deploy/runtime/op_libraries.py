# SPDX-License-Identifier: Apache-2.0
"""Loading shared libraries with custom ops into TensorFlow's C library."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.runtime.status import TfStatus
from tfs_deploy.savedmodel.graph.op_libraries import op_libraries

if TYPE_CHECKING:
    from pathlib import Path

    from tfs_deploy.runtime.library import Library

_lock = threading.Lock()
_loaded: set[Path] = set()


def load_op_libraries(library: Library) -> None:
    """Load each library of ``op_libraries`` once.

    Raises:
        EnvironmentFault: one cannot be loaded.
    """
    with _lock:
        for path in op_libraries():
            if path in _loaded:
                continue
            status = TfStatus(library)
            library.TF_LoadLibrary(str(path).encode(), status.raw)
            error = status.error()
            if error is not None:
                raise EnvironmentFault(
                    f"the op library {path} cannot be loaded: {error.message}",
                    hint=f"it must be built for TensorFlow {library.version}, on this platform",
                )
            _loaded.add(path)
