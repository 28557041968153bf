# SPDX-License-Identifier: Apache-2.0
"""Remove old versions: all but the newest, and never one that a deployment names or serves."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import TfsDeployError, UsageError
from tfs_deploy.savedmodel.versions import VersionDir, list_versions
from tfs_deploy.state.active import read_active
from tfs_deploy.store import owner
from tfs_deploy.store.publish import lock_base_path, translate_os_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from tfs_deploy.deployment import Deployment
    from tfs_deploy.deployment.address import Address
    from tfs_deploy.deployment.deployment import Model

logger = logging.getLogger(__name__)
#: directories above a base path that are searched for deployment files
_LEVELS: Final = 3
_LARGEST_FILE: Final = 1 << 20


class Prunable(Protocol):
    """What pruning needs of a place (``places.place``)."""

    @property
    def address(self) -> Address:
        """How users name it."""

    def versions(self) -> dict[int, str]:
        """Return the published versions, ascending."""

    def remove(self, number: int) -> None:
        """Remove a version."""


def check_keep(keep: object) -> int | None:
    """Return how many versions to keep, ``None`` for all; raises ``UsageError`` for less than one."""
    if keep is None:
        return None
    if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
        raise UsageError(
            f"keep={keep!r} is not a valid number of versions", hint="keep at least 1, or leave it out to keep all"
        )
    return keep


def prune(base: Path, keep: int, deployments: Sequence[str | os.PathLike[str]] | None, published: int) -> list[int]:
    """Remove all but the ``keep`` newest versions and return their numbers.

    Args:
        base: the base path.
        keep: how many versions stay, ``published`` among them.
        deployments: deployment files to respect; ``None`` looks for them above the base path, in ``configs`` beside
            them and in the working directory. If one that was found cannot be read, nothing is removed.
        published: the version that was just published; it stays, whatever its number.
    """
    with translate_os_errors(base), lock_base_path(base):
        there = [version for version in list_versions(base) if version.path.is_dir() and not version.path.is_symlink()]
        try:
            named = named_versions(base, deployments, [version.number for version in there])
        except TfsDeployError as error:
            if deployments is not None:
                raise
            logger.warning("no old version was removed: %s", error)
            return []
        # Names such as 007 and -1 are not those of this toolkit.
        ours = [version for version in there if version.path.name == str(version.number) and version.number >= 0]
        numbers = condemned_versions([version.number for version in ours], keep, named | {published})
        _tell_kept([version.number for version in ours], keep, named)
        condemned = [version for version in ours if version.number in numbers]
        hidden = [_hide(version, base) for version in condemned]
    for folder in hidden:
        shutil.rmtree(folder, ignore_errors=True)
    return [version.number for version in condemned]


def condemned_versions(there: Sequence[int], keep: int, named: Collection[int]) -> list[int]:
    """Return the versions that go: all but the ``keep`` newest and those that are named. Pure; ``there`` is sorted."""
    stay = {*named, *there[-keep:]}
    return [number for number in there if number not in stay]


def _tell_kept(there: Sequence[int], keep: int, named: Collection[int]) -> None:
    """Say that retention has no effect where every version is served: the policy ``all``."""
    if len(there) > keep and set(there) <= set(named):
        logger.warning("no old version was removed: a deployment file serves or names every version")


def prune_place(
    place: Prunable, keep: int, deployments: Sequence[str | os.PathLike[str]] | None, published: int
) -> list[int]:
    """Remove all but the ``keep`` newest versions of a store and return their numbers.

    Those that a deployment file names stay, whose model has the place as its ``store``: files that are given, or else
    those found in the working directory and above it, and in ``configs`` beside them.
    """
    there = sorted(place.versions())
    try:
        named = named_in_store(place.address, deployments, there)
    except TfsDeployError as error:
        if deployments is not None:
            raise
        logger.warning("no old version was removed: %s", error)
        return []
    condemned = condemned_versions(there, keep, named | {published})
    _tell_kept(there, keep, named)
    for number in condemned:
        place.remove(number)
    return condemned


def _hide(version: VersionDir, base: Path) -> Path:
    """Move a version out of sight in one step, so that no server sees it half removed."""
    target = base / owner.current().staging_name()
    version.path.rename(target)
    return target


def named_versions(base: Path, deployments: Sequence[str | os.PathLike[str]] | None, there: Sequence[int]) -> set[int]:
    """Return the versions under ``base`` that deployment files or their rollouts name.

    ``there``: all version numbers, sorted; the policy ``latest N`` names the last N of them, ``all`` every one. The
    error of a file that cannot be read is raised if the file was given, or if it was found and names the base path.
    """
    where = base.resolve()
    return _named(
        deployments,
        base,
        lambda deployment: _named_in(deployment, lambda model: model.base_path.resolve() == where, there),
        lambda file: _mentions(file, base),
    )


def named_in_store(
    address: Address, deployments: Sequence[str | os.PathLike[str]] | None, there: Sequence[int]
) -> set[int]:
    """Return the versions of a store that deployment files or their rollouts name; see ``named_versions``."""
    return _named(
        deployments,
        Path.cwd(),
        lambda deployment: _named_in(deployment, lambda model: model.store == address, there),
        lambda file: str(address) in file.read_text(encoding="utf-8", errors="replace"),
    )


def _named(
    deployments: Sequence[str | os.PathLike[str]] | None,
    near: Path,
    named_in: Callable[[Deployment], Iterable[int]],
    mentions: Callable[[Path], bool],
) -> set[int]:
    """Return what deployment files name: those that are given, or those found ``near`` that ``mentions`` the place."""
    found: set[int] = set()
    for file in map(Path, deployments) if deployments is not None else _found(near):
        try:
            found.update(named_in(load_deployment(file)))
        except TfsDeployError:  # noqa: PERF203 - each file fails by itself
            if deployments is not None or mentions(file):
                raise
    return found


def _mentions(file: Path, base: Path) -> bool:
    """Tell whether a file that cannot be loaded as a deployment has a line with this base path."""
    text = file.read_text(encoding="utf-8", errors="replace")
    written = re.findall(r"""base_path["']?\s*:\s*["']?([^"'#,}\n]+)""", text)
    return any((file.parent / path.strip()).resolve() == base.resolve() for path in written)


def _named_in(deployment: Deployment, belongs: Callable[[Model], bool], there: Sequence[int]) -> Iterator[int]:
    active = read_active(deployment.state_dir)
    for model in deployment.models:
        if not belongs(model):
            continue
        yield from model.version_policy.select(there)
        yield from model.labels.values()
        record = active.get(model.name)
        if record is not None:
            yield from record.versions
            yield from record.labels.values()


def _found(base: Path) -> Iterable[Path]:
    """Find files that may be deployments of the models under a base path."""
    above = [base, *base.parents[:_LEVELS], Path.cwd()]
    folders = dict.fromkeys(folder for place in above for folder in (place, place / "configs"))
    for folder in folders:
        for file in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
            if file.is_file() and file.stat().st_size < _LARGEST_FILE and b"base_path" in file.read_bytes():
                yield file
