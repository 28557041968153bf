# SPDX-License-Identifier: Apache-2.0
"""Which versions of a deployment may not be served: what ``trust`` and ``revoked`` of its file say about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.errors import ModelError, TfsDeployError
from tfs_deploy.savedmodel.versions import list_versions

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment


def untrusted(deployment: Deployment) -> Iterator[TfsDeployError]:
    """Yield an error for each version that the server would be told to serve and that is not trusted.

    Without ``trust`` and ``revoked`` nothing is read; with them every file of these versions is, once.
    """
    if not deployment.trust and not deployment.revoked:
        return
    from tfs_deploy.store.signing.trust import open_trust

    try:
        if deployment.trust:
            open_trust(deployment.trust)
    except TfsDeployError as error:  # a key: once, not for every version
        yield error
        return
    for model in deployment.models:
        try:
            found = {version.number: version.path for version in list_versions(model.base_path)}
        except ModelError:
            continue  # another refusal is about it
        refused = (_refusal(found[number], deployment) for number in model.version_policy.select(list(found)))
        yield from filter(None, refused)


def require_all_trusted(deployment: Deployment) -> None:
    """Raise the first error of ``untrusted``."""
    for error in untrusted(deployment):
        raise error


def _refusal(folder: Path, deployment: Deployment) -> TfsDeployError | None:
    from tfs_deploy.store.signing.trust import require_trusted

    try:
        require_trusted(folder, deployment.trust, deployment.revoked)
    except TfsDeployError as error:
        return error
    return None
