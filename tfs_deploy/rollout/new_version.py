# SPDX-License-Identifier: Apache-2.0
"""The version that a rollout brings: found on disk or in the store of its model, pulled, and trusted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.savedmodel.versions import find_version, latest_version, list_versions
from tfs_deploy.store.places.opened import open_place
from tfs_deploy.store.places.pull import newest, pull_for
from tfs_deploy.store.signing.trust import require_trusted
from tfs_deploy.text import counted, size_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.deployment import Deployment, Model
    from tfs_deploy.deployment.address import Address
    from tfs_deploy.rollout.machine.plan import RolloutPlan


def wanted_version(model: Model, to: int | None) -> tuple[int, Address | None]:
    """Return a version (``None``: the newest) and the store that it has to be pulled from, ``None`` if it is on disk.

    The store of a model is asked for the newest, and for a version that is not on disk.

    Raises:
        ModelError: there is no such version.
        EnvironmentFault: the store cannot be reached.
    """
    base = model.base_path
    here = [version.number for version in list_versions(base)] if base.exists() else []
    if model.store is None or to in here:
        return (latest_version(base) if to is None else find_version(base, to)).number, None
    place = open_place(model.store)
    number = to
    if number is None:
        number = max([*here, *place.versions()]) if here else newest(place)
    if number in here:
        return number, None
    place.publication(number)
    return number, model.store


def bring(deployment: Deployment, model: Model, plan: RolloutPlan, tell: Callable[[str], None]) -> None:
    """Pull the new version, if it is only in the store.

    Raises:
        VerdictError: it is not trusted, or not what was published; nothing is in the base path.
        EnvironmentFault: the store cannot be reached, or the disk has no room.
    """
    if not plan.pull_from or model.store is None:
        return
    tell(f"pulling version {plan.new} out of {plan.pull_from}")
    pulled = pull_for(deployment, model, plan.new, open_place(model.store))
    tell(f"pulled {pulled.path}: {counted(pulled.files, 'file')}, {size_text(pulled.bytes)}")


def require_new_trusted(deployment: Deployment, model: Model, plan: RolloutPlan) -> None:
    """Raise ``VerdictError`` if the new version is on disk and not trusted; what is pulled is judged on its way."""
    if not plan.pull_from:
        require_trusted(find_version(model.base_path, plan.new).path, deployment.trust, deployment.revoked)
