# SPDX-License-Identifier: Apache-2.0
"""What a running server tells of its models.

It has no list of models, and does not tell where their versions lie (apis/model_service.proto): both have to be given.
GetModelStatus knows no labels: the metadata of a label name the version that it points to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.client import Client
from tfs_deploy.draft.found import Found, FoundModel
from tfs_deploy.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError, UsageError
from tfs_deploy.host.addresses import read_address

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from typing_extensions import Unpack

    from tfs_deploy.client.options import Options

#: labels that rollouts move; others have to be named
USUAL_LABELS: Final = ("stable", "canary")


def ask_server(
    address: str, models: Mapping[str, Path], *, labels: Iterable[str] = (), **options: Unpack[Options]
) -> Found:
    """Ask the server at a gRPC ``address`` for the versions and labels of ``models`` (name to base path).

    Raises:
        UsageError: the server has no such model, or none of its versions is available.
        UnavailableError: no server answers there.
    """
    with Client(address, **options) as client:
        found = tuple(_model(client, name, path, [*USUAL_LABELS, *labels]) for name, path in models.items())
    return Found("server", address, found, port=read_address(address).port)


def _model(client: Client, name: str, base_path: Path, labels: Iterable[str]) -> FoundModel:
    try:
        available = sorted(one.version for one in client.status(name) if one.available)
    except NotFoundError:
        raise UsageError(f"the server has no model {name!r}", hint="name its models with --model NAME=PATH") from None
    if not available:
        raise UsageError(f"no version of model {name!r} is available", hint="look at the server's log")
    found = {label: version for label in labels if (version := _version_of(client, name, label)) in available}
    return FoundModel(name, base_path, tuple(available), {label: int(version or 0) for label, version in found.items()})


def _version_of(client: Client, model: str, label: str) -> int | None:
    try:
        return client.metadata(model, label=label).version
    except (InvalidArgumentError, FailedPreconditionError, NotFoundError):
        return None
