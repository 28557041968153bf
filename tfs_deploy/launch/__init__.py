# SPDX-License-Identifier: Apache-2.0
"""Starting, changing, replacing and stopping the servers of a deployment.

``up`` observes, decides and carries out (``planning``, ``executor``). A launch target (``target``) starts and stops
servers and reads their logs; it does not speak the model API: whether a model is ready is found out with a client.
"""

from __future__ import annotations

from tfs_deploy.launch.embedded.launcher import EmbeddedLauncher
from tfs_deploy.launch.embedded.running_server import RunningServer

__all__ = ["EmbeddedLauncher", "RunningServer"]
