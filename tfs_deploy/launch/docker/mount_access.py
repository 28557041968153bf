# SPDX-License-Identifier: Apache-2.0
"""Whether the user inside a container can read what is mounted into it: the models, and the private key."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from tfs_deploy.deployment.access import unreadable
from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment


def require_model_access(served: Deployment, user: str, *, mapped: bool) -> None:
    """Raise ``UsageError`` for the first model file that ``user`` (UID:GID) may not read; root reads everything."""
    for index, path, who in unreadable(served, user=user, mapped=mapped):
        raise UsageError(
            f"{who} may not read {path}",
            hint=f"chmod -R a+rX {served.models[index].base_path}, or name another user: server.docker.user",
        )


def own_key(path: Path, user: str) -> None:
    """Give the file with the private key to the container's user, the only one who may read it; only root can."""
    if path.exists() and sys.platform != "win32" and os.geteuid() == 0:
        uid, _, gid = user.partition(":")
        os.chown(path, int(uid), int(gid or -1))
