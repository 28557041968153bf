# SPDX-License-Identifier: Apache-2.0
"""What lint needs to know of the server that a deployment describes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.deployment.batching_rules import DEFAULT_MAX_BATCH_SIZE
from tfs_deploy.savedmodel.lint import ServerTraits

if TYPE_CHECKING:
    from tfs_deploy.deployment.deployment import Deployment

#: either makes the server compile on the CPU (model_servers/main.cc)
_XLA_FLAGS = ("xla_cpu_compilation_enabled", "xla_gpu_compilation_enabled")


def server_traits(deployment: Deployment | None) -> ServerTraits:
    """Return what a deployment tells of its server, nothing without one.

    Only an image tells a ``release``, which is left out where newer models are allowed.
    """
    if deployment is None:
        return ServerTraits()
    server, batching = deployment.server, deployment.batching
    if server.flags.get("enable_per_model_batching_parameters") is True:
        batching = None  # each version brings its own
    docker = server.docker
    return ServerTraits(
        release=None if docker is None or docker.allow_newer_tensorflow else docker.release,
        xla=any(server.flags.get(name) is True for name in _XLA_FLAGS),
        max_request_rows=None if batching is None else batching.max_batch_size or DEFAULT_MAX_BATCH_SIZE,
    )
