# SPDX-License-Identifier: Apache-2.0
"""The key ``state``: where it may lead, and whether the toolkit can write there."""

from __future__ import annotations

import os
import os.path
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.deployment.file.messages import shown

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.deployment.file.schema import DeploymentFile
    from tfs_deploy.deployment.file.yaml_reader import KeyPath

    Finding = tuple[KeyPath, str]

_KEY: Final = ("state",)


def check_state(file: DeploymentFile, deployment: Deployment, unknown: set[KeyPath]) -> Iterator[Finding]:
    """Yield what is wrong with the place as far as the file alone can tell; paths in ``unknown`` were refused."""
    if file.state is None or _KEY in unknown:
        return
    if not file.state or "\0" in file.state:
        yield _KEY, "must be a directory"
    elif "://" in file.state:
        yield _KEY, f"must be a directory of this machine, not {shown(file.state)}"
    elif file.state.startswith("~"):
        yield _KEY, f"{file.state}: ~ is not expanded, write the path out"
    elif ("name",) not in unknown:
        for index, model in enumerate(deployment.models):
            if ("models", index, "base_path") not in unknown:
                yield from _apart(deployment.state_dir, model.base_path, model.name)


def check_state_on_disk(file: DeploymentFile, deployment: Deployment) -> Iterator[Finding]:
    """Yield why the toolkit could not write its records there; makes no directory."""
    if file.state is None:
        return
    place = Path(os.path.realpath(deployment.state_dir))
    for model in deployment.models:
        yield from _apart(place, Path(os.path.realpath(model.base_path)), model.name)
    there = next(parent for parent in (place, *place.parents) if os.path.lexists(parent))
    if not there.is_dir():
        yield _KEY, f"{there} is not a directory"
    elif not os.access(there, os.W_OK | os.X_OK):
        yield _KEY, f"cannot be written: this user may not write into {there}"


def _apart(state_dir: Path, base_path: Path, model: str) -> Iterator[Finding]:
    """Keep both apart: a server looks for versions in a base path, and ``down`` and ``up`` remove files of theirs."""
    if state_dir.is_relative_to(base_path):
        yield _KEY, f"{state_dir} is inside {base_path}, the base path of model {model!r}"
    elif base_path.is_relative_to(state_dir):
        yield _KEY, f"{state_dir} holds {base_path}, the base path of model {model!r}"
