"""How much memory models need, as the server itself estimates it before it loads one."""

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
    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.launch.server import Server

#: the server reckons with this much RAM for every byte of a version's files (bundle_factory_util.cc)
_RAM_FOR_A_BYTE: Final = 1.2


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
        return 0  # it goes away while we look


def memory_of(served: Deployment, loaded: dict[str, set[int]], *, side_by_side: bool) -> Memory:
    """Estimate what it takes to come from ``loaded`` (model -> versions that are served now) to the file.

    ``side_by_side`` means that a second server loads everything anew while the first one still serves.
    """
    wanted_bytes = extra = held = 0
    for model in served.models:
        try:
            found = {version.number: version.path for version in list_versions(model.base_path)}
        except ModelError:
            continue
        before = loaded.get(model.name, set()) & found.keys()
        wanted = set(model.version_policy.select(list(found)))
        sizes = {number: version_bytes(found[number]) for number in before | wanted}
        wanted_bytes += sum(sizes[number] for number in wanted)
        held += sum(sizes[number] for number in before)
        extra += sum(sizes[number] for number in (wanted if side_by_side else wanted - before))
    docker = served.server.docker
    if docker is not None and docker.memory is not None:
        return Memory(
            wanted_bytes, wanted_bytes if side_by_side else held + extra, docker.memory, "server.docker.memory"
        )
    # What is loaded already is not part of what the machine has available.
    available = available_bytes()
    return Memory(wanted_bytes, held + extra, None if available is None else available + held, "this machine")


def require_memory(
    served: Deployment, current: Server | None, *, side_by_side: bool, loaded: dict[str, set[int]]
) -> None:
    """Raise ``EnvironmentFault`` if the models cannot be loaded beside what is loaded already."""
    memory = memory_of(served, loaded, side_by_side=side_by_side)
    if not memory.fits:
        beside = " while the versions that serve now stay loaded" if current is not None else ""
        raise EnvironmentFault(
            f"the models need about {size_text(memory.peak)}{beside}, {memory.limit} has {size_text(memory.room or 0)}",
            hint="serve fewer versions or raise the limit; --ignore-memory goes on, since this is an estimate",
        )
