# SPDX-License-Identifier: Apache-2.0
"""Version policies, read from and written into the server's messages."""

from __future__ import annotations

from typing import Any

from tfs_deploy.deployment.deployment import VersionPolicy


def policy_of(config: Any) -> VersionPolicy:
    """Read the policy of a ``ModelConfig``; one that sets none serves the latest version, as does ``latest`` 0."""
    policy = config.model_version_policy
    choice = policy.WhichOneof("policy_choice")
    if choice == "specific":
        return VersionPolicy.specific(policy.specific.versions)
    if choice == "all":
        return VersionPolicy.all()
    return VersionPolicy.latest(policy.latest.num_versions or 1)


def set_policy(config: Any, policy: VersionPolicy) -> None:
    """Write a policy into a ``ModelConfig``."""
    target = config.model_version_policy
    target.Clear()
    if policy.kind == "specific":
        target.specific.SetInParent()
        target.specific.versions.extend(policy.versions)
    elif policy.kind == "all":
        target.all.SetInParent()
    else:
        target.latest.num_versions = policy.count
