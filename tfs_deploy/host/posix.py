# SPDX-License-Identifier: Apache-2.0
"""What Linux has and other systems may lack: modules of the standard library, users by number."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

from tfs_deploy.errors import PlatformError


def posix_module(name: str, what: str) -> Any:
    """Import a module of the standard library that Windows lacks, for ``what``; raises ``PlatformError`` there."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PlatformError(what) from error


def user_ids() -> tuple[int, int]:
    """Return the effective UID and GID of this process; raises ``PlatformError`` where users have no numbers."""
    if sys.platform == "win32" or not hasattr(os, "geteuid"):
        raise PlatformError("a server whose user has a number")
    return os.geteuid(), os.getegid()
