# SPDX-License-Identifier: Apache-2.0
"""What a deployment file may say but rarely means: not mistakes, but worth a warning."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.versions import list_versions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.deployment.deployment import Deployment, Model
    from tfs_deploy.deployment.file.yaml_reader import KeyPath

    Advice = tuple[KeyPath, str]


def advise(deployment: Deployment, served: Deployment) -> Iterator[Advice]:
    """Yield (path of the key, warning); ``served`` is the deployment as rollouts left it, with the same models."""
    for index, (model, in_force) in enumerate(zip(deployment.models, served.models, strict=True)):
        yield from _unlabelled(("models", index), in_force)
        if deployment.trust and model.version_policy.kind != "specific":
            # file_system_storage_path_source.cc polls the base path
            text = "the server loads newer versions itself, whatever trust says: write specific versions"
            yield ("models", index, "versions"), text
    yield from _ineffective(deployment)
    yield from _open_to_others(deployment)


def _unlabelled(where: KeyPath, model: Model) -> Iterator[Advice]:
    served = model.version_policy.select(_on_disk(model)) or list(model.version_policy.versions)
    if len(served) < 2:
        return
    newest = max(served)
    labels = sorted(label for label, version in model.labels.items() if version == newest)
    if "stable" in labels:
        return
    named = f" ({', '.join(labels)})" if labels else ""
    yield (
        (*where, "versions"),
        f"requests without a label all go to version {newest}{named}, the highest of {len(served)} loaded ones",
    )


def _on_disk(model: Model) -> list[int]:
    try:
        return [version.number for version in list_versions(model.base_path)]
    except ModelError:
        return []


def _ineffective(deployment: Deployment) -> Iterator[Advice]:
    server, batching = deployment.server, deployment.batching
    if server.platform_config is not None:
        overridden = [
            name
            for name, given in (("batching", batching is not None), ("session_config", server.session_config))
            if given
        ]
        if overridden:
            # server.cc takes the session bundle config from the platform config alone
            yield ("server", "platform_config"), f"replaces {' and '.join(overridden)}, which the server then ignores"
    if server.embedded is not None and server.contained:
        yield ("server", "embedded"), f"has no effect with target: {server.target}"
    cpus = server.docker.cpus if server.docker is not None else None
    threads = batching.num_batch_threads if batching is not None else None
    if cpus and threads and threads > max(cpus, 1):
        yield ("batching", "num_batch_threads"), f"is more than the container's {cpus:g} CPUs"
    if server.flags.get("enable_serialization_as_tensor_content") is True and server.rest_port:
        # http_rest_api_handler.cc shares the serialization, and json_tensor.cc reads the other fields
        yield ("server", "flags", "enable_serialization_as_tensor_content"), "may break REST predictions"


def _open_to_others(deployment: Deployment) -> Iterator[Advice]:
    server = deployment.server
    if ipaddress.ip_address(server.address).is_loopback or (deployment.ssl and deployment.ssl.client_verify):
        return
    closed = not server.contained and not (server.embedded and server.embedded.remote_reload)
    where = ("server", "docker" if server.contained else "embedded", "address")
    more = "" if closed else " and replace the server's config"
    yield where, f"any client that reaches it can send requests{more}"
