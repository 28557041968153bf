# SPDX-License-Identifier: Apache-2.0
"""Checks of the ``serve`` command before it starts a server, which would wait for such models in silence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.savedmodel.graph.scan import graph_file, scan_saved_model
from tfs_deploy.savedmodel.layout import SAVED_MODEL, SAVED_MODEL_TEXT
from tfs_deploy.savedmodel.versions import VersionDir, list_versions, version_number
from tfs_deploy.server.models.version_policy import VersionPolicy, aspired_versions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    #: a problem and a hint
    Finding = tuple[str, str]

_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_WAITS: Final = "export a model there; to wait for one as tensorflow_model_server does: python -m tfs_deploy.server"


def check_models_on_disk(config: Any) -> None:
    """Raise ``UsageError`` with the first problem of the models that the server would wait for, or fail to load.

    A problem is a base path that does not exist or is not on this machine, one without a version that the policy would
    serve, a version of the policy ``specific`` that is missing, and a version directory without a SavedModel or with
    a damaged one.
    """
    found = [finding for model in config.model_config_list.config for finding in _findings(model)]
    if found:
        message, hint = found[0]
        more = f", and {len(found) - 1} more" if len(found) > 1 else ""
        raise UsageError(message + more, hint=hint)


def _findings(model: Any) -> Iterator[Finding]:
    for message, hint in _in_base_path(model.base_path, VersionPolicy.from_message(model.model_version_policy)):
        yield f"model {model.name}: {message}", hint


def _in_base_path(base_path: str, policy: VersionPolicy) -> Iterator[Finding]:
    if _URI.match(base_path):
        yield (
            f"{base_path} is not on this machine",
            "copy the versions here: the embedded server reads local files only",
        )
        return
    if not Path(base_path).is_absolute():
        yield f"base path {base_path} is not absolute", f"write {Path(base_path).absolute()}"
        return
    try:
        versions = list_versions(base_path)
    except ModelError as error:
        yield error.message, error.hint if Path(base_path).exists() and error.hint else _WAITS
        return
    chosen = aspired_versions(policy, versions)
    missing = sorted((policy.specific or frozenset()) - {version.number for version in chosen})
    if not versions:
        yield f"{base_path} holds no version: no directory in it is named by a number", _how_to_fill(base_path)
    elif missing:
        yield _missing(base_path, missing, versions)
    for version in chosen:
        yield from _in_version(version)


def _how_to_fill(base_path: str) -> str:
    place = Path(base_path)
    if _has_model(place) and version_number(place.name) is not None:
        return f"it is a version itself: give {place.parent} as base path"
    if _has_model(place):
        return f"it is a SavedModel itself: move it into {base_path}/1"
    return _WAITS


def _missing(base_path: str, missing: Sequence[int], versions: Sequence[VersionDir]) -> Finding:
    there = ", ".join(str(version.number) for version in versions[-10:])
    wanted = ", ".join(map(str, missing))
    return (
        f"no version {wanted} under {base_path}, it has {there}",
        "name versions that exist, or export the missing ones",
    )


def _in_version(version: VersionDir) -> Iterator[Finding]:
    if not version.path.is_dir():
        yield f"{version.path} has the name of a version, but is not a directory", "move it out of the base path"
    elif not _has_model(version.path):
        yield f"version directory {version.path} has no {SAVED_MODEL}", "export it again, or remove it"
    else:
        try:
            scan_saved_model(graph_file(version.path))
        except ModelError as error:
            yield error.message, error.hint or "export it again"


def _has_model(path: Path) -> bool:
    return any((path / name).is_file() for name in (SAVED_MODEL, SAVED_MODEL_TEXT))
