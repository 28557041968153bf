# SPDX-License-Identifier: Apache-2.0
"""From what was found to the values of a deployment file, and the commands that follow."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy.config.importer import with_near_paths

if TYPE_CHECKING:
    from tfs_deploy.deployment.deployment import TargetName
    from tfs_deploy.draft.found import Found, FoundModel


@dataclass(frozen=True, slots=True)
class Choices:
    """What the user chose: the deployment's name, what serves it, its ports, the image of a container."""

    name: str
    target: TargetName
    grpc_port: int
    rest_port: int
    image: str


def draft_document(found: Found, choices: Choices, folder: Path) -> dict[str, Any]:
    """Return the values of a deployment file that will lie in ``folder``.

    Of versions on disk the newest is served, by number and as ``stable``, so that the next one on disk takes no request
    before a rollout. A server's versions and labels, and what a models.config says, stay as they are.
    """
    server: dict[str, Any] = {
        "target": choices.target,
        "grpc_port": choices.grpc_port,
        "rest_port": choices.rest_port,
    }
    if choices.target == "docker":
        server["docker"] = {"image": choices.image}
    document = with_near_paths(found.document, folder)
    models = document.get("models") or [_model(model, folder, found) for model in found.models]
    return {**document, "name": choices.name, "server": server, "models": models}


def _model(model: FoundModel, folder: Path, found: Found) -> dict[str, Any]:
    versions = list(model.versions) if found.kind == "server" else [model.versions[-1]]
    return {
        "name": model.name,
        "base_path": path_in_file(model.base_path, folder),
        "versions": {"specific": versions},
        "labels": model.labels or {"stable": versions[-1]},
    }


def path_in_file(path: Path, folder: Path) -> str:
    """Return a path as a file in ``folder`` names it: relative if it was given so."""
    return str(path) if path.is_absolute() else os.path.relpath(path, folder)


def next_commands(found: Found, file: str, *, try_image: str = "") -> list[tuple[str, str]]:
    """Return what to run for a server from ``file``, each with what it does; ``try_image``: it may be too old."""
    commands = []
    if found.unwritten:
        verb = "export" if found.kind == "keras" else "publish"
        base_path = shlex.quote(str(found.models[0].base_path))
        commands.append(
            (f"tfs-deploy {verb} {shlex.quote(found.source)} --to {base_path}", "writes the version to serve")
        )
    name = shlex.quote(file)
    if try_image and found.models:
        folder = shlex.quote(str(found.models[0].base_path))
        line = f"tfs-deploy verify {folder} --image {shlex.quote(try_image)}"
        commands.append((line, "shows whether the image serves what a newer TensorFlow wrote"))
    commands.append((f"tfs-deploy config {name} --check", "checks this file, and what it names on disk"))
    if found.kind == "server":
        takes_over = f"takes over, once the server at {found.source} is stopped; with other ports starts beside it"
        commands.append((f"tfs-deploy up {name}", takes_over))
    else:
        commands.append((f"tfs-deploy up {name}", "starts the server, or brings it in line with this file"))
    return commands
