# SPDX-License-Identifier: Apache-2.0
"""What a deployment file says about models, compared with what is on disk."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import TYPE_CHECKING

from tfs_deploy import protos
from tfs_deploy.deployment.access import unreadable
from tfs_deploy.deployment.certificates import check_ssl
from tfs_deploy.deployment.file.text_values import parse_release
from tfs_deploy.deployment.links import HINT, blind_links
from tfs_deploy.deployment.trusted_keys import check_trusted_keys
from tfs_deploy.errors import ModelError, SpecError, UsageError
from tfs_deploy.protos.text_format import read_message
from tfs_deploy.savedmodel.graph.scan import graph_file, scan_saved_model
from tfs_deploy.savedmodel.inspect import serving_graph
from tfs_deploy.savedmodel.layout import GRAPH_FILES, MODEL_FILES, SAVED_MODEL, TFLITE_MODEL
from tfs_deploy.savedmodel.versions import VersionDir, list_versions, version_number

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.deployment.deployment import Deployment, Model, Server
    from tfs_deploy.deployment.file.yaml_reader import KeyPath

    Finding = tuple[KeyPath, str]


def check_disk(deployment: Deployment) -> Iterator[Finding]:
    """Yield what the server would not find or not load, by the path of the key that names it."""
    lite = deployment.server.flags.get("prefer_tflite_model") is True
    names = MODEL_FILES if lite else GRAPH_FILES
    docker = deployment.server.docker
    release = None if docker is None or docker.allow_newer_tensorflow else docker.release
    places: dict[str, str] = {}
    for index, model in enumerate(deployment.models):
        where: KeyPath = ("models", index)
        yield from _check_model(where, model, names)
        yield from _check_links((*where, "base_path"), model, places)
        if release is not None:
            yield from _check_release((*where, "base_path"), model, release)
    for index, path, who in unreadable(deployment):
        yield ("models", index, "base_path"), f"{who} may not read {path}"
    for link in blind_links(deployment):
        yield ("models", link.index, "base_path"), f"{link.message}: {HINT}"
    if deployment.ssl is not None:
        for key, message in check_ssl(deployment.ssl):
            yield ("ssl", key), message
    for index, message in check_trusted_keys(deployment.trust):
        yield ("trust", index), message
    yield from _check_server(deployment.server)


def _check_model(where: KeyPath, model: Model, names: tuple[str, ...]) -> Iterator[Finding]:
    base_path = (*where, "base_path")
    pull = "" if model.store is None else "; tfs-deploy pull gets versions out of its store"
    try:
        found = list_versions(model.base_path)
    except ModelError as error:
        yield base_path, error.message + ("" if model.base_path.exists() else pull)
        return
    if not found:
        yield base_path, f"{model.base_path} holds no version: {_why_empty(model.base_path, names)}{pull}"
        return
    numbers = [version.number for version in found]
    for version in model.version_policy.versions:
        if version not in numbers:
            yield (*where, "versions", "specific"), f"version {version} is not on disk, {_there(model, numbers)}{pull}"
    served = set(model.version_policy.select(numbers))
    for directory in found:
        if directory.number in served:
            yield from _check_version(base_path, directory, names)
    for label, version in model.labels.items():
        if version not in numbers:
            yield (*where, "labels", label), f"version {version} is not on disk, {_there(model, numbers)}{pull}"


def _why_empty(base_path: Path, names: tuple[str, ...]) -> str:
    if not any((base_path / name).exists() for name in names):
        return "no directory in it has a number as its name"
    if version_number(base_path.name) is None:
        return f"it is a SavedModel itself, move it into {base_path / '1'}"
    return f"it is one itself, write {base_path.parent} (and versions: {{specific: [{base_path.name}]}} for this one)"


def _check_links(where: KeyPath, model: Model, places: dict[str, str]) -> Iterator[Finding]:
    """Find two base paths that are one directory by way of symbolic links."""
    place = os.path.realpath(model.base_path)
    first = places.setdefault(place, model.name)
    if first != model.name and Path(place).is_dir():
        yield where, f"leads to {place}, which is also the base path of model {first!r}"


def _check_release(where: KeyPath, model: Model, release: tuple[int, int]) -> Iterator[Finding]:
    """Find versions that a newer TensorFlow wrote than the one in the image: it may lack their ops."""
    try:
        found = {version.number: version.path for version in list_versions(model.base_path)}
    except ModelError:
        return
    for number in model.version_policy.select(list(found)):
        written = written_release(found[number])
        if written is not None and written > release:
            by, has = (".".join(map(str, pair)) for pair in (written, release))
            text = f"version {number} was written by TensorFlow {by}, newer than the image's {has}"
            yield where, f"{text} (serve it all the same: server.docker.allow_newer_tensorflow: true)"


def written_release(version: Path) -> tuple[int, int] | None:
    """Return the release X.Y of the TensorFlow that wrote a version directory, None where it cannot be read."""
    try:
        return parse_release(serving_graph(scan_saved_model(graph_file(version))).tensorflow_version.partition("-")[0])
    except (ModelError, OSError):
        return None  # other checks report it


def _check_server(server: Server) -> Iterator[Finding]:
    files = {
        "session_config": (server.session_config, protos.ConfigProto),
        "platform_config": (server.platform_config, protos.PlatformConfigMap),
    }
    for key, (path, message) in files.items():
        if path is None:
            continue
        try:
            read_message(path, message())
        except SpecError as error:
            yield ("server", key), str(error.problems[0])
        except UsageError as error:
            yield ("server", key), error.message
    for index, library in enumerate(server.op_libraries):
        if not library.is_file():
            yield ("server", "op_libraries", index), f"{library} is not a file"
    for index, mount in enumerate(server.docker.mounts if server.docker is not None else ()):
        if not mount.source.exists():
            yield ("server", "docker", "mounts", index, "source"), f"{mount.source} does not exist"


def _there(model: Model, numbers: list[int]) -> str:
    listed = ", ".join(map(str, numbers[-10:]))
    return f"{model.base_path} has {'..., ' if len(numbers) > 10 else ''}{listed}"


def _check_version(where: KeyPath, directory: VersionDir, names: tuple[str, ...]) -> Iterator[Finding]:
    if not directory.path.is_dir():
        yield where, f"{directory.path} is named like a version, but is not a directory"
    elif not any((directory.path / name).is_file() for name in names):
        yield (
            where,
            f"version directory {directory.path} has no {TFLITE_MODEL if TFLITE_MODEL in names else SAVED_MODEL}",
        )
