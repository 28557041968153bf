"""Whether the user inside a container can read what is mounted into it: the models, and the private key."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.savedmodel.versions import list_versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment


def require_model_access(served: Deployment, user: str, *, mapped: bool) -> None:
    """Raise ``UsageError`` for the first model file that ``user`` (UID:GID) may not read; root reads everything.

    Only what lies inside the base path counts: the engine mounts it as root, whatever is above it.
    """
    uid, _, gid = user.partition(":")
    if int(uid) == 0 or mapped:
        return
    for model in served.models:
        for path in _needed(model.base_path, set(model.version_policy.versions)):
            if not may_read(path.stat(), int(uid), int(gid or 0)):
                raise UsageError(
                    f"user {user} of the container may not read {path}",
                    hint=f"chmod -R a+rX {model.base_path}, or name another user: server.docker.user",
                )


def _needed(base_path: Path, versions: set[int]) -> Iterator[Path]:
    yield base_path
    try:
        found = list_versions(base_path)
    except ModelError:
        return
    for version in found:
        if versions and version.number not in versions:
            continue
        for place, folders, names in os.walk(version.path):
            yield version.path.__class__(place)
            folders.sort()
            yield from (version.path.__class__(place, name) for name in sorted(names))


def may_read(status: os.stat_result, uid: int, gid: int) -> bool:
    """Tell whether a user may read a file, or read and enter a directory, by its permission bits."""
    wanted = 0o5 if stat.S_ISDIR(status.st_mode) else 0o4
    if status.st_uid == uid:
        return status.st_mode >> 6 & wanted == wanted
    if status.st_gid == gid:
        return status.st_mode >> 3 & wanted == wanted
    return status.st_mode & wanted == wanted


def own_key(path: Path, user: str) -> None:
    """Give the file with the private key to the container's user, the only one who may read it; only root can."""
    if path.exists() and os.geteuid() == 0:
        uid, _, gid = user.partition(":")
        os.chown(path, int(uid), int(gid or -1))
