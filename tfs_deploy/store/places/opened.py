# SPDX-License-Identifier: Apache-2.0
"""From an address to its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.deployment.address import OCI, Address, parse_address
from tfs_deploy.deployment.mlflow_address import MLFLOW

if TYPE_CHECKING:
    from tfs_deploy.store.places.place import Place
    from tfs_deploy.store.places.retry import Patience


def open_place(address: Address | str, patience: Patience | None = None) -> Place:
    """Return the place at an address; nothing is asked of it yet.

    Raises:
        UsageError: the address is not valid, or the environment names no usable store.
        MissingExtraError: a store needs the extra ``storage``, a registry of MLflow the extra ``mlflow``.
    """
    where = parse_address(address) if isinstance(address, str) else address
    if where.scheme == OCI:
        from tfs_deploy.store.places.oci.place import OciPlace

        return OciPlace(where, patience)
    if where.scheme == MLFLOW:
        from tfs_deploy.store.places.mlflow import MlflowPlace

        return MlflowPlace(where)
    if where.is_remote:
        from tfs_deploy.store.places.objects import ObjectPlace

        return ObjectPlace(where, patience)
    from tfs_deploy.store.places.directory import DirectoryPlace

    return DirectoryPlace(where)
