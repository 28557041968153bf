# SPDX-License-Identifier: Apache-2.0
"""How much memory models need, by the estimate of the server before it loads one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import EnvironmentFault, ModelError
from tfs_deploy.host.machine import available_bytes
from tfs_deploy.savedmodel.versions import list_versions
from tfs_deploy.text import size_text

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from tfs_deploy.deployment.deployment import Deployment

#: the server expects this much RAM for every byte of a version's files (bundle_factory_util.cc)
_RAM_FOR_A_BYTE: Final = 1.2


@dataclass(frozen=True, slots=True)
class MemoryLimit:
    """How many bytes one server may have, and the ``key`` of the deployment file that says so."""

    bytes: int
    key: str


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: ``models`` of what the file asks for, ``peak`` with what is loaded beside it for a while, ``room`` for it.

    ``room`` is the container's limit if it has one, else what this machine has available and None where that is
    unknown; ``limit`` names which.
    """

    models: int
    peak: int
    room: int | None
    limit: str

    @property
    def fits(self) -> bool:
        """Whether the peak fits."""
        return self.room is None or self.peak <= self.room


def version_bytes(path: Path) -> int:
    """Return the memory that one version needs, by the size of its files."""
    return round(
        sum(_size(Path(place) / name) for place, _, names in os.walk(path) for name in names) * _RAM_FOR_A_BYTE
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # it was removed a moment ago


def memory_of(
    served: Deployment,
    loaded: Mapping[str, Collection[int]],
    *,
    side_by_side: bool,
    limit: MemoryLimit | None = None,
) -> Memory:
    """Estimate what it takes to get from ``loaded`` (model -> versions served now) to the deployment file.

    Args:
        served: the deployment.
        loaded: model -> versions that its server serves now.
        side_by_side: whether a second server loads everything while the first one still serves.
        limit: what one server may have; without it the machine's memory counts.
    """
    wanted_bytes = extra = held = 0
    for model in served.models:
        try:
            found = {version.number: version.path for version in list_versions(model.base_path)}
        except ModelError:
            continue
        before = found.keys() & set(loaded.get(model.name, ()))
        wanted = set(model.version_policy.select(list(found)))
        sizes = {number: version_bytes(found[number]) for number in before | wanted}
        wanted_bytes += sum(sizes[number] for number in wanted)
        held += sum(sizes[number] for number in before)
        extra += sum(sizes[number] for number in (wanted if side_by_side else wanted - before))
    if limit is not None:
        return Memory(wanted_bytes, wanted_bytes if side_by_side else held + extra, limit.bytes, limit.key)
    # What is loaded already is not part of what the machine has available.
    available = available_bytes()
    return Memory(wanted_bytes, held + extra, None if available is None else available + held, "this machine")


def memory_problem(memory: Memory, *, beside: bool) -> EnvironmentFault | None:
    """Return the error for models that do not fit, None if they do; ``beside`` tells whether a server runs already."""
    if memory.fits:
        return None
    while_served = " while the versions that serve now stay loaded" if beside else ""
    return EnvironmentFault(
        f"the models need about {size_text(memory.peak)}{while_served}, "
        f"but {memory.limit} has {size_text(memory.room or 0)}",
        hint="serve fewer versions or raise the limit; or use --ignore-memory: this is an estimate",
    )
