# SPDX-License-Identifier: Apache-2.0
"""What TensorFlow Serving reads, made from a deployment: models.config, batching, monitoring, flags.

Every function here that turns a ``Deployment`` into messages, text or flags is pure; ``write_config`` is the one that
writes.
"""

from __future__ import annotations

from tfs_deploy.config.command_line import server_flags
from tfs_deploy.config.diff import ConfigDiff, ModelChange, diff
from tfs_deploy.config.files import config_files, write_config
from tfs_deploy.config.models import check, model_server_config, parse, render
from tfs_deploy.config.transition import transition

__all__ = [
    "ConfigDiff",
    "ModelChange",
    "check",
    "config_files",
    "diff",
    "model_server_config",
    "parse",
    "render",
    "server_flags",
    "transition",
    "write_config",
]
