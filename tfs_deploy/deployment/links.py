# SPDX-License-Identifier: Apache-2.0
"""Symbolic links in a base path that a container cannot follow: all it sees of this machine is what is mounted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from tfs_deploy.deployment.docker import MODELS_DIR
from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.versions import list_versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.deployment.deployment import Deployment, Model

HINT = "copy what it leads to there, or mount that at the same path in the container: server.docker.mounts"


@dataclass(frozen=True, slots=True)
class BlindLink:
    """A link of a served version of the model at ``index`` that leads out of what the container sees."""

    index: int
    path: Path
    leads_to: str

    @property
    def message(self) -> str:
        """What is wrong, for a problem of the base path."""
        return f"{self.path} is a symbolic link to {self.leads_to}, which the container does not see"


def blind_links(deployment: Deployment) -> Iterator[BlindLink]:
    """Yield the first such link of each version that the policy serves now; none for servers of this machine."""
    docker = deployment.server.docker
    if not deployment.server.contained or docker is None:
        return
    mounted = [PurePosixPath(mount.target) for mount in docker.mounts]
    for index, model in enumerate(deployment.models):
        for version in _served(model):
            found = next((link for link in _links(version) if _blind(link, model, mounted)), None)
            if found is not None:
                yield BlindLink(index, found, os.readlink(found))  # noqa: PTH115 - the text, not a path


def _served(model: Model) -> list[Path]:
    try:
        found = {version.number: version.path for version in list_versions(model.base_path)}
    except ModelError:
        return []
    return [found[number] for number in model.version_policy.select(list(found))]


def _links(version: Path) -> Iterator[Path]:
    if version.is_symlink():
        yield version
    for place, folders, names in os.walk(version):
        for name in sorted((*folders, *names)):
            path = Path(place, name)
            if path.is_symlink():
                yield path


def _blind(link: Path, model: Model, mounted: list[PurePosixPath]) -> bool:
    """Tell whether a link leads out of the base path and of every other mount, by its text as the container reads it.

    Inside the base path it also has to end there: what lies on its way may be a link too.
    """
    root = Path(os.path.realpath(model.base_path))
    here = Path(os.path.realpath(link.parent))
    if not here.is_relative_to(root):
        return False  # the link that led here is the one to report
    inside = PurePosixPath(MODELS_DIR) / model.name
    text = os.readlink(link)  # noqa: PTH115 - the text, not a path
    leads_to = PurePosixPath(os.path.normpath(inside / here.relative_to(root) / text))
    if any(leads_to.is_relative_to(target) for target in mounted):
        return False
    return not (leads_to.is_relative_to(inside) and Path(os.path.realpath(link)).is_relative_to(root))
