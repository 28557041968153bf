# SPDX-License-Identifier: Apache-2.0
"""The version directory that a caller means: a path, a base path and a number, or a deployment file and a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tfs_deploy.deployment.active import apply_active
from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.versions import find_version, latest_version, list_versions, named_folder, version_number
from tfs_deploy.state.active import read_active
from tfs_deploy.text import did_you_mean

if TYPE_CHECKING:
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment, Model

_FILES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class ModelLocation:
    """A version directory and its number, if its name is one."""

    path: Path
    version: int | None


def locate(path: Path, *, version: int | None, label: str | None, model: str | None) -> ModelLocation:
    """Return the version directory.

    Raises:
        UsageError: the arguments contradict each other, or the deployment file does not have the model or label.
        ModelError: the version does not exist.
    """
    if version is not None and label is not None:
        raise UsageError("a version and a label cannot be given together", hint="drop one of the two")
    if path.suffix in _FILES and path.is_file():
        return _in_deployment(path, version, label, model)
    if label is not None or model is not None:
        what = "a label" if label is not None else "a model name"
        raise UsageError(
            f"{what} needs a deployment file, which {path} is not",
            hint="load_model('configs/digits.yaml', model='digits', label='stable')",
        )
    if version is None and _is_version_dir(path):
        return ModelLocation(path, version_number(named_folder(path).name))
    chosen = latest_version(path) if version is None else find_version(path, version)
    return ModelLocation(chosen.path, chosen.number)


def _is_version_dir(path: Path) -> bool:
    # variables alone are a version that lost its graph, which the reader reports
    return any((path / name).exists() for name in (layout.SAVED_MODEL, layout.SAVED_MODEL_TEXT, layout.VARIABLES))


def _in_deployment(path: Path, version: int | None, label: str | None, name: str | None) -> ModelLocation:
    from tfs_deploy.deployment.file import load_deployment

    deployment = load_deployment(path)
    served, _ = apply_active(deployment, read_active(deployment.state_dir))
    model = _model(served, name, path)
    if label is not None:
        if label not in model.labels:
            there = ", ".join(sorted(model.labels)) or "none"
            raise UsageError(f"model {model.name} has no label {label!r}", hint=f"labels: {there}")
        version = model.labels[label]
    if version is None:
        numbers = model.version_policy.select([each.number for each in list_versions(model.base_path)])
        if not numbers:
            raise ModelError(
                f"model {model.name} has no version to serve under {model.base_path}",
                hint=f"its version policy is {model.version_policy}",
            )
        version = numbers[-1]
    chosen = find_version(model.base_path, version)
    return ModelLocation(chosen.path, chosen.number)


def _model(deployment: Deployment, name: str | None, path: Path) -> Model:
    models = {model.name: model for model in deployment.models}
    if name is None and len(models) == 1:
        return next(iter(models.values()))
    if name not in models:
        problem = f"{path} has no model {name!r}" if name is not None else f"{path} has several models"
        meant = did_you_mean(name or "", models, otherwise="")
        raise UsageError(problem, hint=f"{meant} name one of: {', '.join(models)}".lstrip())
    return models[name]
