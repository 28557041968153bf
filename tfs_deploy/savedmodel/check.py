"""Checking the files of a version against what was written down about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.inspect import damaged_variables
from tfs_deploy.savedmodel.manifest import verify_manifest

if TYPE_CHECKING:
    from tfs_deploy.savedmodel.inspect import SavedModelInfo


def check_files(info: SavedModelInfo) -> list[str]:
    """Describe every file that is not what the manifest says, file first; nothing if all are.

    Raises:
        ModelError: there is no manifest, and the checksums that TensorFlow keeps of the variables show no damage, so
            that the files cannot be called right or wrong.
    """
    if info.manifest is not None:
        return [str(problem) for problem in verify_manifest(info.path)]
    damaged = damaged_variables(info.bundle) if info.bundle else []
    if damaged:
        return damaged
    raise ModelError(
        f"{info.path / layout.MANIFEST} does not exist, so there is nothing to check the files against",
        hint="`tfs-deploy export` writes one; the variables at least match TensorFlow's own checksums",
    )
