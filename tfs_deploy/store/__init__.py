# SPDX-License-Identifier: Apache-2.0
"""Version directories as a store: list, find, stage, publish, prune, identify, and require a verdict. No TensorFlow.

``stage`` publishes new files, ``publish_version`` a copy of an existing version. Each name is imported on first use:
pruning reads deployment files, which publishing does not need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.lazy import lazy_names

if TYPE_CHECKING:
    from tfs_deploy.savedmodel.versions import VersionDir as VersionDir
    from tfs_deploy.savedmodel.versions import find_version as find_version
    from tfs_deploy.savedmodel.versions import latest_version as latest_version
    from tfs_deploy.savedmodel.versions import list_versions as list_versions
    from tfs_deploy.store.copy import PublishedVersion as PublishedVersion
    from tfs_deploy.store.copy import publish_version as publish_version
    from tfs_deploy.store.identity import Identity as Identity
    from tfs_deploy.store.identity import identify as identify
    from tfs_deploy.store.publish import Stage as Stage
    from tfs_deploy.store.publish import stage as stage
    from tfs_deploy.store.retention import prune as prune
    from tfs_deploy.store.verdict import read_verdict as read_verdict
    from tfs_deploy.store.verdict import require_verdict as require_verdict
    from tfs_deploy.store.verdict import write_verdict as write_verdict

_HOME = {
    "Identity": "tfs_deploy.store.identity",
    "PublishedVersion": "tfs_deploy.store.copy",
    "Stage": "tfs_deploy.store.publish",
    "VersionDir": "tfs_deploy.savedmodel.versions",
    "find_version": "tfs_deploy.savedmodel.versions",
    "identify": "tfs_deploy.store.identity",
    "latest_version": "tfs_deploy.savedmodel.versions",
    "list_versions": "tfs_deploy.savedmodel.versions",
    "prune": "tfs_deploy.store.retention",
    "publish_version": "tfs_deploy.store.copy",
    "read_verdict": "tfs_deploy.store.verdict",
    "require_verdict": "tfs_deploy.store.verdict",
    "stage": "tfs_deploy.store.publish",
    "write_verdict": "tfs_deploy.store.verdict",
}

__all__ = [
    "Identity",
    "PublishedVersion",
    "Stage",
    "VersionDir",
    "find_version",
    "identify",
    "latest_version",
    "list_versions",
    "prune",
    "publish_version",
    "read_verdict",
    "require_verdict",
    "stage",
    "write_verdict",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME, __all__)
