# SPDX-License-Identifier: Apache-2.0
"""What is done with a deployment: ``Deployment`` and its async twin, which commands call as programs do."""

from __future__ import annotations

from tfs_deploy.operations.async_deployment import AsyncDeployment
from tfs_deploy.operations.deployment import Deployment

__all__ = ["AsyncDeployment", "Deployment"]
