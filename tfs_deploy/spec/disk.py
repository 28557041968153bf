"""What a deployment file says about models, held against what lies on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.layout import SAVED_MODEL, SAVED_MODEL_CHUNKED, SAVED_MODEL_TEXT, TFLITE_MODEL
from tfs_deploy.savedmodel.versions import VersionDir, list_versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.config.deployment import Deployment, Model
    from tfs_deploy.spec.tree import Path

    Finding = tuple[Path, str]

_MODEL_FILES = (SAVED_MODEL, SAVED_MODEL_TEXT, SAVED_MODEL_CHUNKED)


def check_disk(deployment: Deployment) -> Iterator[Finding]:
    """Yield what the server would not find or not load, by the path of the key that names it."""
    lite = deployment.server.flags.get("prefer_tflite_model") is True
    names = (*_MODEL_FILES, TFLITE_MODEL) if lite else _MODEL_FILES
    for index, model in enumerate(deployment.models):
        yield from _check_model(("models", index), model, names)


def _check_model(where: Path, model: Model, names: tuple[str, ...]) -> Iterator[Finding]:
    base_path = (*where, "base_path")
    try:
        found = list_versions(model.base_path)
    except ModelError as error:
        yield base_path, error.message
        return
    if not found:
        yield base_path, f"{model.base_path} holds no version, that is no directory whose name is a number"
        return
    numbers = [version.number for version in found]
    for version in model.version_policy.versions:
        if version not in numbers:
            yield (*where, "versions", "specific"), f"version {version} is not on disk, {_there(model, numbers)}"
    served = set(model.version_policy.select(numbers))
    for directory in found:
        if directory.number in served:
            yield from _check_version(base_path, directory, names)
    for label, version in model.labels.items():
        if version not in numbers:
            yield (*where, "labels", label), f"version {version} is not on disk, {_there(model, numbers)}"
        elif version not in served and model.version_policy.kind != "specific":
            listed = ", ".join(map(str, sorted(served)))
            yield (*where, "labels", label), f"version {version} is not served, {model.version_policy} is {listed}"


def _there(model: Model, numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers[-10:]))
    return f"{model.base_path} has {'..., ' if len(numbers) > 10 else ''}{listed}"


def _check_version(where: Path, directory: VersionDir, names: tuple[str, ...]) -> Iterator[Finding]:
    if not directory.path.is_dir():
        yield where, f"{directory.path} is taken for a version, but is no directory"
    elif not any((directory.path / name).is_file() for name in names):
        yield where, f"version directory {directory.path} has no {names[0] if len(names) == 3 else TFLITE_MODEL}"
