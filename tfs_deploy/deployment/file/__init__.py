# SPDX-License-Identifier: Apache-2.0
"""The deployment file: read, checked as a whole, and turned into a ``Deployment``.

pydantic and PyYAML are imported when a file is read, not before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.deployment.deployment import Batching, Deployment, Model, Monitoring, Server, VersionPolicy
from tfs_deploy.extras import import_extra

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from tfs_deploy.deployment.file.yaml_reader import KeyPath
    from tfs_deploy.errors import Problem

__all__ = [
    "Batching",
    "Deployment",
    "Model",
    "Monitoring",
    "Server",
    "VersionPolicy",
    "load_deployment",
    "load_with_advice",
    "problems_of",
    "write_yaml",
]


def load_deployment(path: str | Path, *, check_disk: bool = False, allow_latest: bool = False) -> Deployment:
    """Read a deployment file; relative paths in it start at its folder.

    Raises ``SpecError`` with every problem of the file at once (``file:line: path: message``), ``UsageError`` if it
    does not exist. ``check_disk`` also checks what it names: base paths, version directories, labels, certificates;
    then a mutable image tag (``latest``) is refused unless ``allow_latest``.
    """
    loader = import_extra("tfs_deploy.deployment.file.loader", "cli")
    deployment: Deployment = loader.load(path, check_disk=check_disk, allow_latest=allow_latest)
    return deployment


def load_with_advice(
    path: str | Path,
    *,
    check_disk: bool = True,
    allow_latest: bool = False,
    in_force: Callable[[Deployment], Deployment] = lambda written: written,
) -> tuple[Deployment, list[Problem]]:
    """Read a deployment file as ``load_deployment``, with warnings for what is allowed but rarely meant.

    ``in_force``: returns the deployment as rollouts left it, by which versions and labels are judged.
    """
    loader = import_extra("tfs_deploy.deployment.file.loader", "cli")
    loaded: tuple[Deployment, list[Problem]] = loader.load_with_advice(
        path, check_disk=check_disk, allow_latest=allow_latest, in_force=in_force
    )
    return loaded


def problems_of(document: dict[str, Any], source: str, lines: dict[KeyPath, int]) -> list[Problem]:
    """Return what is wrong in the values of a deployment file that were made from another file, ``source``.

    ``lines`` leads from the path of a value to its line there. The disk is not looked at.
    """
    loader = import_extra("tfs_deploy.deployment.file.loader", "cli")
    problems: list[Problem] = loader.problems_of(document, source, lines)
    return problems


def write_yaml(document: dict[str, Any], *, one_line: bool = False) -> str:
    """Return a document as YAML that readers of YAML 1.1 and of 1.2 take for the same values, keys in their order.

    ``one_line``: in braces, on one line where all texts are.
    """
    writer = import_extra("tfs_deploy.deployment.file.yaml_writer", "cli")
    text: str = writer.write_yaml(document, one_line=one_line)
    return text
