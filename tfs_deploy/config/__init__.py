"""What TensorFlow Serving reads, made from a deployment: models.config, batching, monitoring, flags.

``Deployment`` and its parts are plain values (``spec`` makes them from a file); every function here that turns them
into messages, text or flags is pure, and ``write_config`` is the one that writes.
"""

from __future__ import annotations

from tfs_deploy.config.active import ActiveModel, apply_active, model_digest, read_active, write_active
from tfs_deploy.config.command import server_flags
from tfs_deploy.config.deployment import (
    Batching,
    Deployment,
    Model,
    Monitoring,
    Server,
    Ssl,
    VersionPolicy,
)
from tfs_deploy.config.diff import ConfigDiff, ModelChange, diff
from tfs_deploy.config.docker import Docker, Mount
from tfs_deploy.config.files import config_files, write_config
from tfs_deploy.config.models import check, model_server_config, parse, render
from tfs_deploy.config.transition import transition

__all__ = [
    "ActiveModel",
    "Batching",
    "ConfigDiff",
    "Deployment",
    "Docker",
    "Model",
    "ModelChange",
    "Monitoring",
    "Mount",
    "Server",
    "Ssl",
    "VersionPolicy",
    "apply_active",
    "check",
    "config_files",
    "diff",
    "model_digest",
    "model_server_config",
    "parse",
    "read_active",
    "render",
    "server_flags",
    "transition",
    "write_active",
    "write_config",
]
