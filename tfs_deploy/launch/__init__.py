"""Starting and stopping a server, and keeping note of it.

Launchers start, stop, wait for ports and hand out logs. They never speak the model API: whether a model is ready is
the client's business, and ``lifecycle`` brings the two together.
"""

from __future__ import annotations

from tfs_deploy.launch.embedded.launcher import EmbeddedLauncher
from tfs_deploy.launch.embedded.running_server import RunningServer

__all__ = ["EmbeddedLauncher", "RunningServer"]
