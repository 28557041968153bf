# SPDX-License-Identifier: Apache-2.0
"""The versions to verify: those that a path stands for, and the baseline of each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.deployment.active import apply_active
from tfs_deploy.deployment.deployment import REST_NAME
from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.versions import find_version, latest_version, list_versions, named_folder, version_number
from tfs_deploy.smoke.targets import find_model
from tfs_deploy.state.active import read_active

if TYPE_CHECKING:
    from tfs_deploy.deployment import Deployment, Model

FILES: Final = (".yaml", ".yml")
_GRAPHS: Final = (layout.SAVED_MODEL, "saved_model.pbtxt")


@dataclass(frozen=True, slots=True)
class Subject:
    """One version of one model.

    Attributes:
        name: the servable.
        version: the number under which it is served.
        path: its directory.
        labels: those that the deployment file points at it.
        baseline: the directory of the version to compare it with.
    """

    name: str
    version: int
    path: Path
    labels: tuple[str, ...] = ()
    baseline: Path | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def subjects_of_directory(path: Path, *, name: str | None = None, baseline: str | None = None) -> list[Subject]:
    """Return the version of a version directory, or the newest of a base path.

    Raises ``UsageError`` if the directory does not exist or holds no version.
    """
    if not path.is_dir():
        what = "is a file" if path.exists() else "does not exist"
        raise UsageError(f"{path} {what}", hint="give a version directory, a base path, or a deployment file (.yaml)")
    folder = path if is_version(path) or _has_number(path) else latest_version(path).path
    named = named_folder(folder)
    number = version_number(named.name)
    chosen = name or (named.parent.name if number is not None else named.name)
    if not REST_NAME.fullmatch(chosen):
        if name:
            raise UsageError(f"{name!r} is not a valid model name", hint="use letters, digits, '_', '.' and '-'")
        chosen = "model"
    base = named.parent if number is not None else None
    return [Subject(chosen, 1 if number is None else number, folder, baseline=_baseline(baseline, base))]


def subjects_of_deployment(
    deployment: Deployment, *, name: str | None = None, baseline: str | None = None
) -> list[Subject]:
    """Return every version that the deployment, or one model of it, serves; labels as rollouts have moved them."""
    current, _ = apply_active(deployment, read_active(deployment.state_dir))
    models = current.models if name is None else (find_model(current, name),)
    if baseline is not None and len(models) > 1:
        raise UsageError("a baseline belongs to one model", hint="name the model with --model")
    found = [subject for model in models for subject in _served(model, baseline)]
    if not found:
        names = ", ".join(f"{model.name} ({model.version_policy})" for model in models)
        raise ModelError(f"no version to serve of: {names}", hint="export one, or correct base_path")
    return found


def is_version(path: Path) -> bool:
    """Return whether a directory itself holds a SavedModel."""
    return any((path / name).exists() for name in _GRAPHS)


def _has_number(path: Path) -> bool:
    """Return whether a directory has a version's name and holds no versions: it lost its graph."""
    if version_number(named_folder(path).name) is None:
        return False
    return not any(is_version(version.path) for version in list_versions(path))


def _served(model: Model, baseline: str | None) -> list[Subject]:
    there = {version.number: version for version in list_versions(model.base_path)}
    served = model.version_policy.select(list(there))
    missing = [number for number in (*model.version_policy.versions, *model.labels.values()) if number not in there]
    found = []
    for number in sorted({*served, *missing}):
        path = there[number].path if number in there else model.base_path / str(number)
        labels = tuple(sorted(label for label, version in model.labels.items() if version == number))
        found.append(Subject(model.name, number, path, labels, _baseline(baseline, model.base_path)))
    return [subject for subject in found if subject.path != subject.baseline]


def _baseline(text: str | None, base: Path | None) -> Path | None:
    """Return the directory that ``--baseline`` names: a number beside the version, or a path."""
    if text is None:
        return None
    number = version_number(text)
    if number is not None:
        if base is None:
            raise UsageError(f"baseline {number} needs a numbered version directory", hint="give its path")
        return find_version(base, number).path
    path = Path(text)
    if not path.is_dir():
        raise UsageError(f"the baseline {text} is not a directory", hint="give a version number, or a path")
    return path if is_version(path) else latest_version(path).path
