# SPDX-License-Identifier: Apache-2.0
"""Whether the server may read the models: this user's process, or the user inside a container."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from tfs_deploy.deployment.docker import user_of
from tfs_deploy.errors import ModelError
from tfs_deploy.host.user import user_ids
from tfs_deploy.savedmodel.versions import list_versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.deployment.deployment import Deployment, Model


def unreadable(
    deployment: Deployment, *, user: str | None = None, mapped: bool = False
) -> Iterator[tuple[int, Path, str]]:
    """Yield for each model the first file of a served version that its server may not read.

    Args:
        deployment: its versions count that the policy serves now.
        user: UID:GID of the container; by default as ``up`` chooses it. Its rights are told by permission bits, and
            only inside the base path: the engine mounts that as root, whatever is above it.
        mapped: whether users inside the container are not those outside (a rootless engine).

    Yields:
        the model's place in the file, the path, and who may not read it.
    """
    who, ids = "this user", None
    docker = deployment.server.docker
    if deployment.server.contained and docker is not None:
        user = user or user_of(docker, *user_ids(), mapped=mapped)
        uid, gid = (int(part or 0) for part in user.partition(":")[::2])
        if uid == 0 or mapped:
            return
        who, ids = f"user {user} of the container", (uid, gid)
    for index, model in enumerate(deployment.models):
        found = next((path for path in _needed(model) if not _readable(path, ids)), None)
        if found is not None:
            yield index, found, who


def _needed(model: Model) -> Iterator[Path]:
    """Yield the base path and everything in the served versions; what is missing is not this check's to say."""
    try:
        versions = {version.number: version.path for version in list_versions(model.base_path)}
    except ModelError:
        return
    yield model.base_path
    for number in model.version_policy.select(list(versions)):
        for place, folders, names in os.walk(versions[number]):
            folders.sort()
            inside = [Path(place, name) for name in ("", *folders, *sorted(names))]
            yield from (path for path in inside if os.path.exists(path))  # noqa: PTH110 - Path.exists raises


def _readable(path: Path, ids: tuple[int, int] | None) -> bool:
    if ids is not None:
        return may_read(path.stat(), *ids)
    return os.access(path, os.R_OK | os.X_OK if path.is_dir() else os.R_OK)


def may_read(status: os.stat_result, uid: int, gid: int) -> bool:
    """Tell whether a user may read a file, or read and enter a directory, by its permission bits."""
    wanted = 0o5 if stat.S_ISDIR(status.st_mode) else 0o4
    if status.st_uid == uid:
        return status.st_mode >> 6 & wanted == wanted
    if status.st_gid == gid:
        return status.st_mode >> 3 & wanted == wanted
    return status.st_mode & wanted == wanted
