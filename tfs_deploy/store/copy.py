# SPDX-License-Identifier: Apache-2.0
"""Publish an existing version, such as one that was verified: copy it, check it, then make it visible whole.

No TensorFlow.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import ModelError, UsageError, VerdictError
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.manifest import Manifest, read_manifest
from tfs_deploy.savedmodel.review import NO_MANIFEST, Accepts, review_manifest
from tfs_deploy.savedmodel.versions import VersionDir, list_versions
from tfs_deploy.store.base_path import check_base_path, check_version
from tfs_deploy.store.publish import refuse_taken, stage, translate_os_errors
from tfs_deploy.store.retention import check_keep, named_versions, prune
from tfs_deploy.store.tree import copy_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ACCEPTS: Final = Accepts(frozenset({NO_MANIFEST}))


@dataclass(frozen=True)
class PublishedVersion:
    """A published version: its directory, number and size, its manifest if it has one, and the versions pruned.

    ``same_as``: the versions that were there already with the same files.
    """

    path: Path
    version: int
    bytes: int
    manifest: Manifest | None
    pruned: tuple[int, ...] = ()
    same_as: tuple[int, ...] = ()


def publish_version(
    source: str | os.PathLike[str],
    base_path: str | os.PathLike[str],
    *,
    version: int | str | None = None,
    keep: int | None = None,
    deployments: Sequence[str | os.PathLike[str]] | None = None,
    check: Callable[[Path], None] | None = None,
) -> PublishedVersion:
    """Copy a version directory to the next number under ``base_path`` and return it, complete or not at all.

    Args:
        source: a directory that holds a SavedModel; it stays as it is.
        base_path: directory of the versions; created if missing.
        version: a number; ``None`` = the one after the highest; ``"timestamp"`` = seconds since the epoch.
        keep: how many versions stay; older ones are removed, except those that a deployment file or a rollout names.
        deployments: the deployment files to respect; default: those found near ``base_path`` (see ``export_model``).
        check: called with the copy before it is visible; raises if it must not be published, and may add attestations.

    Raises:
        UsageError: the base path, or the number, cannot be used, or a link leads out of the source.
        ModelError: the source is not a SavedModel that can be read.
        VerdictError: the copy is not what the manifest says.
        EnvironmentFault: something cannot be read, or the disk is full or read-only.
    """
    base = check_base_path(base_path)
    number = check_version(version)
    if isinstance(number, int) and base.exists():
        refuse_taken(base, number)
    check_keep(keep)
    if deployments is not None:
        named_versions(base, deployments, [])  # report mistakes in a deployment file before any work is done
    folder = inspect_model(Path(source)).path
    if base.resolve().is_relative_to(folder.resolve()):
        raise UsageError(f"base path {base} is inside {folder}, the version to publish", hint="give another base path")
    with stage(base) as staged:
        with translate_os_errors(base):
            size = copy_tree(folder, staged.path)
        refused = _ACCEPTS.refused(review_manifest(staged.path))
        if refused:
            raise VerdictError(f"{folder} has changed since the export: {refused[0]}", hint="export the version again")
        if check is not None:
            with translate_os_errors(base):
                check(staged.path)
        manifest = read_manifest(staged.path)
        published = staged.publish(version)
    same = _same_files(base, published, manifest)
    pruned = () if keep is None else tuple(prune(base, keep, deployments, published.number))
    return PublishedVersion(published.path, published.number, size, manifest, pruned, same)


def _same_files(base: Path, published: VersionDir, manifest: Manifest | None) -> tuple[int, ...]:
    """Return the other versions that are copies of the same export, by the digest of their manifest."""
    if manifest is None:
        return ()
    found = []
    for version in list_versions(base):
        with contextlib.suppress(ModelError):
            other = read_manifest(version.path)
            if version != published and other is not None and other.digest == manifest.digest:
                found.append(version.number)
    return tuple(found)
