"""The deployment file: read, checked as a whole, and turned into a ``Deployment``.

pydantic and PyYAML are imported when a file is read, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.config.deployment import Batching, Deployment, Model, Monitoring, Server, VersionPolicy
from tfs_deploy.extras import import_extra

if TYPE_CHECKING:
    from pathlib import Path

__all__ = [
    "Batching",
    "Deployment",
    "Model",
    "Monitoring",
    "Server",
    "VersionPolicy",
    "load_deployment",
]


def load_deployment(path: str | Path, *, check_disk: bool = False) -> Deployment:
    """Read a deployment file; relative paths in it start at its folder.

    Raises ``SpecError`` with every problem of the file at once (``file:line: path: message``), ``UsageError`` if there
    is no such file. ``check_disk`` also looks at the models: base paths, version directories, labels.
    """
    loader = import_extra("tfs_deploy.spec.loader", "cli")
    deployment: Deployment = loader.load(path, check_disk=check_disk)
    return deployment
