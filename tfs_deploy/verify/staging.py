# SPDX-License-Identifier: Apache-2.0
"""Where the server finds the versions to verify: in place, or in a folder of links to their files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.deployment import Model, VersionPolicy
from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.savedmodel.versions import version_number
from tfs_deploy.store.tree import copy_tree, link_or_copy

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tfs_deploy.verify.subjects import Subject

#: suffix of the model that serves the baseline beside the candidate
BASELINE_SUFFIX = ".baseline"


def staged_models(subjects: Iterable[Subject], folder: Path, *, with_baseline: bool) -> tuple[Model, ...]:
    """Return the models to serve: each version by number, and the baseline as a model of its own.

    A version directory without a number for a name is linked into ``folder``; nothing is written beside the model.
    """
    served: dict[str, dict[int, Path]] = {}
    labels: dict[str, dict[str, int]] = {}
    for subject in subjects:
        served.setdefault(subject.name, {})[subject.version] = subject.path
        labels.setdefault(subject.name, {}).update(dict.fromkeys(subject.labels, subject.version))
        if with_baseline and subject.baseline is not None:
            served[subject.name + BASELINE_SUFFIX] = {1: subject.baseline}
    return tuple(_model(name, versions, labels.get(name, {}), folder) for name, versions in served.items())


def _model(name: str, versions: dict[int, Path], labels: dict[str, int], folder: Path) -> Model:
    resolved = {number: path.resolve() for number, path in versions.items()}
    bases = {path.parent for path in resolved.values()}
    numbered = all(version_number(path.name) == number for number, path in resolved.items())
    if numbered and len(bases) == 1:
        return Model(name, bases.pop(), VersionPolicy.specific(versions), labels)
    base = folder / "models" / name
    for number, path in resolved.items():
        _link(path, base / str(number))
    return Model(name, base, VersionPolicy.specific(versions), labels)


def _link(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        copy_tree(source, target, copy=link_or_copy)
    except OSError as error:
        raise EnvironmentFault(f"{source} cannot be copied to {target}: {error}") from error
