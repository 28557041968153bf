# SPDX-License-Identifier: Apache-2.0
"""Shared libraries with custom ops, for this process and those it starts.

They are kept in an environment variable, so that the check of an export, the server of ``verify`` and the embedded
server of ``up`` load them too.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: paths, joined as in PATH
VARIABLE: Final = "TFS_DEPLOY_OP_LIBRARIES"


def op_libraries() -> tuple[Path, ...]:
    """Return the libraries in the order in which they are to be loaded."""
    return tuple(Path(text) for text in os.environ.get(VARIABLE, "").split(os.pathsep) if text)


def use_op_libraries(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Add libraries for this process and those it starts; ``UsageError`` for one that does not exist."""
    libraries = dict.fromkeys(op_libraries())
    for path in paths:
        library = Path(path).absolute()
        if not library.is_file():
            raise UsageError(f"the op library {path} is not a file", hint="give the path of a shared library (.so)")
        if os.pathsep in str(library):
            raise UsageError(f"the path {library} has a {os.pathsep!r} in it", hint="copy the library elsewhere")
        libraries[library] = None
    if libraries:
        os.environ[VARIABLE] = os.pathsep.join(map(str, libraries))


def is_in_op_library(op: str) -> bool:
    """Tell whether one of the libraries may register an op: its name is a string in it."""
    return any(b"%b\0" % op.encode() in _content(library) for library in op_libraries())


@functools.lru_cache(maxsize=8)
def _content(library: Path) -> bytes:
    try:
        return library.read_bytes()
    except OSError:
        return b""  # loading it says why
