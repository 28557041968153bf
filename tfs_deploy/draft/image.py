# SPDX-License-Identifier: Apache-2.0
"""Which image of the server fits the models that were found."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from tfs_deploy.deployment.docker import DEFAULT_IMAGE, NEWEST_IMAGE
from tfs_deploy.deployment.file.disk import written_release
from tfs_deploy.deployment.file.text_values import parse_release
from tfs_deploy.deployment.image import Image
from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.versions import list_versions

if TYPE_CHECKING:
    from tfs_deploy.draft.found import Found

    Release = tuple[int, int]


def release_of_models(found: Found) -> Release | None:
    """Return the newest release X.Y of TensorFlow that wrote the models to serve, None where it is unknown.

    A Keras file is going to be written by the TensorFlow that is installed.
    """
    if found.kind == "keras":
        try:
            return parse_release(metadata.version("tensorflow"))
        except metadata.PackageNotFoundError:
            return None
    folders = [model.base_path / str(max(model.versions)) for model in found.models if model.versions]
    folders += [folder for model in found.document.get("models", []) for folder in _newest(Path(model["base_path"]))]
    releases = map(written_release, [Path(found.source)] if found.kind == "savedmodel" else folders)
    return max((release for release in releases if release is not None), default=None)


def _newest(base_path: Path) -> list[Path]:
    try:
        return [version.path for version in list_versions(base_path)][-1:]
    except ModelError:
        return []


def proposed_image(release: Release | None) -> str:
    """Return the official image for models that a release of TensorFlow wrote; it may be older than they are."""
    return NEWEST_IMAGE if is_newer(release, DEFAULT_IMAGE) else DEFAULT_IMAGE


def is_newer(release: Release | None, image: str) -> bool:
    """Tell whether models were written by a newer TensorFlow than an image is known to have."""
    reference = Image.parse(image)
    has = None if reference is None else reference.release
    return release is not None and has is not None and release > has
