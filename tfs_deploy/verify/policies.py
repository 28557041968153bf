# SPDX-License-Identifier: Apache-2.0
"""Reading a policy file, without pydantic and PyYAML until one is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.extras import import_extra

if TYPE_CHECKING:
    from pathlib import Path

    from tfs_deploy.savedmodel.lint.policy import Policy


def read_policy(path: str | Path) -> Policy:
    """Read a policy file.

    Raises ``SpecError`` with every problem of the file at once (``file:line: path: message``), ``UsageError`` if it
    does not exist, ``EnvironmentFault`` if the system does not let us read it.
    """
    policy: Policy = import_extra("tfs_deploy.verify.policy_file", "cli").read(path)
    return policy
