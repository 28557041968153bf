# SPDX-License-Identifier: Apache-2.0
"""A ``Deployment`` from the sections of its file."""

from __future__ import annotations

import os.path
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy.deployment.address import parse_address
from tfs_deploy.deployment.certificates import PEM_KEYS
from tfs_deploy.deployment.deployment import (
    Batching,
    Deployment,
    Embedded,
    Model,
    Monitoring,
    Server,
    Ssl,
    VersionPolicy,
    state_dir_of,
)
from tfs_deploy.deployment.docker import Docker, Mount
from tfs_deploy.deployment.file.text_values import parse_gpus, parse_memory, parse_release

if TYPE_CHECKING:
    from tfs_deploy.deployment.file.schema import (
        BatchingSection,
        DeploymentFile,
        DockerSection,
        ModelSection,
        Section,
        ServerSection,
        SslSection,
        VersionsSection,
    )


def to_deployment(file: DeploymentFile, source: Path) -> Deployment:
    """Make the deployment that ``file``, read from the absolute path ``source``, describes."""
    folder = source.parent
    return Deployment(
        name=file.name,
        source=source,
        state_dir=state_dir_of(source, file.name, place=file.state),
        models=tuple(_model(model, folder) for model in file.models),
        server=_server(file.server, folder),
        batching=None if file.batching is None else to_batching(file.batching),
        monitoring=None if file.monitoring is None else Monitoring(**_values(file.monitoring)),
        ssl=None if file.ssl is None else _ssl(file.ssl, folder),
        trust=tuple(_path(folder, text) for text in file.trust or ()),
        revoked=tuple(file.revoked),
    )


def to_batching(section: BatchingSection) -> Batching:
    """Make the batching parameters of a section."""
    return Batching(**_values(section) | {"allowed_batch_sizes": tuple(section.allowed_batch_sizes)})


def _values(section: Section) -> dict[str, Any]:
    """Return the value of every key; the caller replaces those that the file writes in another form."""
    return {key: getattr(section, key) for key in type(section).model_fields}


def _path(folder: Path, text: str) -> Path:
    # Symbolic links stay: the server is meant to see where they point when it looks.
    return Path(os.path.normpath(folder / text))


def _path_or_none(folder: Path, text: str | None) -> Path | None:
    return None if text is None else _path(folder, text)


def _server(section: ServerSection, folder: Path) -> Server:
    other = section.alternate_ports
    converted = {
        "flags": dict(section.flags),
        "alternate_ports": None if other is None else (other.grpc_port, other.rest_port if section.rest_port else 0),
        "session_config": _path_or_none(folder, section.session_config),
        "platform_config": _path_or_none(folder, section.platform_config),
        "op_libraries": tuple(_path(folder, text) for text in section.op_libraries),
        "embedded": None if section.embedded is None else Embedded(**_values(section.embedded)),
        "docker": None if section.docker is None else _docker(section.docker, folder),
    }
    return Server(**_values(section) | converted)


def _docker(section: DockerSection, folder: Path) -> Docker:
    converted = {
        "serving_version": None if section.serving_version is None else parse_release(section.serving_version),
        "memory": None if section.memory is None else parse_memory(section.memory),
        "gpus": None if section.gpus is None else parse_gpus(section.gpus),
        "shm_size": None if section.shm_size is None else parse_memory(section.shm_size),
        "env": dict(section.env),
        "labels": dict(section.labels),
        "networks": tuple(section.networks),
        "mounts": tuple(Mount(_path(folder, mount.source), mount.target, mount.read_only) for mount in section.mounts),
    }
    return Docker(**_values(section) | converted)


def _ssl(section: SslSection, folder: Path) -> Ssl:
    paths = {key: _path_or_none(folder, getattr(section, key)) for key in PEM_KEYS}
    return Ssl(**_values(section) | paths)


def _model(model: ModelSection, folder: Path) -> Model:
    base_path = _path(folder, model.base_path)
    store = None if model.store is None else parse_address(model.store)
    return Model(model.name, base_path, _policy(model.versions), dict(model.labels), dict(model.traffic), store)


def _policy(versions: VersionsSection) -> VersionPolicy:
    if versions.specific is not None:
        return VersionPolicy.specific(versions.specific)
    return VersionPolicy.all() if versions.all else VersionPolicy.latest(versions.latest or 1)
