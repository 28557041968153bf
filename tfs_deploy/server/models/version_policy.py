# SPDX-License-Identifier: Apache-2.0
"""Which versions of a model to serve, of those on disk (sources/storage_path/file_system_storage_path_source.cc)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.savedmodel.versions import VersionDir


@dataclass(frozen=True, slots=True)
class VersionPolicy:
    """``latest`` N versions, ``all``, or the ``specific`` numbers; exactly one of them is set."""

    latest: int | None = None
    all: bool = False
    specific: frozenset[int] | None = None

    @classmethod
    def from_message(cls, message: Any) -> VersionPolicy:
        """Read a ServableVersionPolicy; unset means the latest one, as does ``num_versions: 0``."""
        choice = message.WhichOneof("policy_choice")
        if choice == "all":
            return cls(all=True)
        if choice == "specific":
            return cls(specific=frozenset(message.specific.versions))
        return cls(latest=max(message.latest.num_versions, 1))


def aspired_versions(policy: VersionPolicy, found: Sequence[VersionDir]) -> list[VersionDir]:
    """Return the versions to serve of those on disk, by number; of two spellings of a number one is taken."""
    by_number: dict[int, VersionDir] = {}
    for version in found:
        plain = policy.specific is not None and version.path.name == str(version.number)
        if version.number not in by_number or not _is_plain(by_number[version.number], policy) or plain:
            by_number[version.number] = version
    numbers = sorted(by_number)
    if policy.specific is not None:
        numbers = [number for number in numbers if number in policy.specific]
    elif policy.latest is not None:
        numbers = numbers[-policy.latest :]
    return [by_number[number] for number in numbers]


def _is_plain(version: VersionDir, policy: VersionPolicy) -> bool:
    # "specific" tries the path base/N before it lists the directory
    return policy.specific is not None and version.path.name == str(version.number)
