# SPDX-License-Identifier: Apache-2.0
"""The user that this process runs as, by number."""

from __future__ import annotations

import os
import sys

from tfs_deploy.errors import PlatformError


def user_ids() -> tuple[int, int]:
    """Return the effective UID and GID of this process; raises ``PlatformError`` where users have no numbers."""
    if sys.platform == "win32":
        raise PlatformError("a server whose user has a number")
    return os.geteuid(), os.getegid()
