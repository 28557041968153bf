# SPDX-License-Identifier: Apache-2.0
"""The config that was written for a server, and the versions and labels that it serves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.client.call.status_errors import is_missing
from tfs_deploy.config.files import MODELS
from tfs_deploy.config.written import read_written
from tfs_deploy.errors import EnvironmentFault, ModelError, NotFoundError, StatusError
from tfs_deploy.savedmodel.versions import list_versions
from tfs_deploy.state.endpoint import endpoint_path, read_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from tfs_deploy.client import Client
    from tfs_deploy.deployment.deployment import Deployment

#: labels that a server is asked for whether a file has them or not: no reply lists them
USUAL_LABELS: Final = ("canary", "stable")


def written_config(config_dir: Path) -> Any:
    """Return the ``ModelServerConfig`` in the directory that the server reads, an empty one if none was written yet.

    Raises ``EnvironmentFault`` for a damaged one.
    """
    try:
        return read_written(config_dir / MODELS)
    except FileNotFoundError:
        return protos.ModelServerConfig()


def available_versions(client: Client, model: str) -> list[int]:
    """Return the versions of a model that the server serves now, none for a model it does not know."""
    try:
        return sorted(status.version for status in client.status(model) if status.available)
    except NotFoundError as error:
        if not is_missing(error):
            raise
        return []


def labelled_version(client: Client, model: str, label: str) -> int | None:
    """Return the version that a label leads to, None if to none; status replies do not know labels.

    Raises ``StatusError`` if the server does not answer, or answers anything else.
    """
    try:
        return client.metadata(model, label=label).version
    except StatusError as error:
        if not is_missing(error):
            raise
        return None


def labelled_versions(client: Client, model: str, labels: Iterable[str]) -> dict[str, int]:
    """Return the version that each label leads to, without those that lead to none."""
    found = {label: labelled_version(client, model, label) for label in sorted(set(labels))}
    return {label: version for label, version in found.items() if version is not None}


def versions_on_disk(config: Any, paths: Mapping[str, Path] | None = None) -> dict[str, list[int]]:
    """Return the versions under each model's base path, none where there is no such directory.

    ``paths`` leads from base paths as the server sees them to those of this machine, where they differ.
    """
    here = paths or {}
    return {
        model.name: version_numbers(here.get(model.base_path, model.base_path))
        for model in config.model_config_list.config
    }


def host_paths(deployment: Deployment) -> dict[str, Path]:
    """Return where the base paths that a deployment's server sees lie on this machine."""
    return {str(deployment.served_path(model)): model.base_path for model in deployment.models}


def version_numbers(base_path: str | Path) -> list[int]:
    """Return the version numbers under a base path, none if there is no such directory."""
    try:
        return [version.number for version in list_versions(base_path)]
    except ModelError:
        return []


def label_problems(
    model: str, wanted: Mapping[str, int], reached: Mapping[str, int], split: Mapping[str, float]
) -> Iterator[str]:
    """Yield a line for each label that clients or the file count on and that does not lead where it should.

    ``wanted``: label -> version as the file, or the last rollout, has it. ``reached``: the same as the server answers.
    ``split``: label -> percent in the traffic file.
    """
    for label in sorted(wanted.keys() | {label for label, share in split.items() if share > 0}):
        version, meant, share = reached.get(label), wanted.get(label), split.get(label, 0.0)
        if version is None:
            traffic = f"; {share:g} % of the traffic goes there" if share > 0 else ""
            instead = "" if meant is None else f" instead of version {meant}"
            yield f"label {label} of {model} leads to no version{instead}{traffic}"
        elif meant is not None and version != meant:
            yield f"label {label} of {model} leads to version {version} instead of version {meant}"


def label_notes(model: str, wanted: Mapping[str, int], reached: Mapping[str, int]) -> Iterator[str]:
    """Yield a line for each label that the server has and the file does not."""
    for label in sorted(reached.keys() - wanted.keys()):
        yield f"label {label} of {model} leads to version {reached[label]}; the file does not have it"


def endpoint_problems(deployment: Deployment, address: str) -> Iterator[str]:
    """Yield what keeps clients that follow the endpoint file from the server at ``address``; without one none does."""
    fix = f"tfs-deploy up {deployment.source} writes it again"
    try:
        written = read_endpoint(deployment.state_dir)
    except EnvironmentFault as error:
        yield f"{error.message}: new clients that follow it fail; {fix}"
        return
    if written is not None and (written.grpc != address or written.stopped):
        where = "is of a stopped server" if written.stopped else f"leads to {written.grpc}"
        yield f"{endpoint_path(deployment.state_dir)} {where}, but the server answers on {address}; {fix}"
