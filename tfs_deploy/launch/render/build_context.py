# SPDX-License-Identifier: Apache-2.0
"""Writing what ``render`` made: beside each other, with the models where a build needs them."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from tfs_deploy.atomic import write_files
from tfs_deploy.config.files import SSL, write_config
from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.host.user import user_ids
from tfs_deploy.launch.docker.mount_access import own_key, require_model_access
from tfs_deploy.launch.render.compose import (
    PROMETHEUS_FILE,
    compose_file,
    dockerfile,
    prometheus_file,
    require_docker,
    user_of_service,
)
from tfs_deploy.savedmodel.versions import list_versions
from tfs_deploy.store.tree import copy_tree, link_or_copy

if TYPE_CHECKING:
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment


def served_versions(served: Deployment) -> dict[str, list[Path]]:
    """Return the version directories that each model's policy serves now."""
    found = {}
    for model in served.models:
        there = {version.number: version.path for version in list_versions(model.base_path)}
        found[model.name] = [there[number] for number in model.version_policy.select(list(there))]
    return found


def write_compose(served: Deployment, out: Path) -> list[Path]:
    """Write compose.yaml, the config directory, and prometheus.yml if the deployment is monitored.

    Raises ``UsageError`` if the user of the service could not read a model, or the file with the private key.
    """
    user = user_of_service(require_docker(served))
    require_model_access(served, user, mapped=False)
    if served.ssl is not None:
        _require_own_key(user)
    texts = {"compose.yaml": compose_file(served, "./config")}
    if served.monitoring is not None and served.monitoring.prometheus:
        texts[PROMETHEUS_FILE] = prometheus_file(served)
    written = [*write_config(served, out / "config"), *write_files(out, texts)]
    own_key(out / "config" / SSL, user)
    return written


def _require_own_key(user: str) -> None:
    """Raise ``UsageError`` unless the file with the private key can belong to the user of the service."""
    uid, gid = user_ids()
    if uid not in (0, int(user.partition(":")[0])):
        raise UsageError(
            f"user {user} of the service could not read the private key of ssl in a file of user {uid}",
            hint=f'write server.docker.user: "{uid}:{gid}", or render as root, who can give the file away',
        )


def write_build(served: Deployment, out: Path) -> list[Path]:
    """Write a Dockerfile with its build context: config and copies of the models, as hard links where that works.

    Raises ``UsageError`` if the config holds a private key, which does not belong into an image.
    """
    if served.ssl is not None:
        raise UsageError(
            "the config holds the private key of ssl, which anyone with the image could read",
            hint="leave ssl out of this file and end TLS in front of the server, or mount the config: render compose",
        )
    versions = served_versions(served)
    written = write_config(served, out / "config")
    for name, paths in versions.items():
        for path in paths:
            target = out / "models" / name / path.name
            try:
                shutil.rmtree(target, ignore_errors=True)
                target.parent.mkdir(parents=True, exist_ok=True)
                copy_tree(path, target, copy=link_or_copy)
            except OSError as error:
                raise EnvironmentFault(f"{path} cannot be copied to {target}: {error.strerror or error}") from error
            written.append(target)
    return [*written, *write_files(out, {"Dockerfile": dockerfile(served, versions)})]
