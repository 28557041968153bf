# SPDX-License-Identifier: Apache-2.0
"""A deployment as plain values; ``deployment.file`` reads them from a deployment file."""

from __future__ import annotations

from tfs_deploy.deployment.active import ActiveModel, apply_active, model_digest
from tfs_deploy.deployment.deployment import (
    Batching,
    Deployment,
    Embedded,
    Model,
    Monitoring,
    Server,
    Ssl,
    VersionPolicy,
)
from tfs_deploy.deployment.docker import Docker, Mount

__all__ = [
    "ActiveModel",
    "Batching",
    "Deployment",
    "Docker",
    "Embedded",
    "Model",
    "Monitoring",
    "Mount",
    "Server",
    "Ssl",
    "VersionPolicy",
    "apply_active",
    "model_digest",
]
