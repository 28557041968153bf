# SPDX-License-Identifier: Apache-2.0
"""Remove old versions: all but the newest, and never one that a deployment names or serves."""

from __future__ import annotations

import logging
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import TfsDeployError, UsageError
from tfs_deploy.savedmodel.versions import VersionDir, list_versions
from tfs_deploy.state.active import read_active
from tfs_deploy.store import owner
from tfs_deploy.store.publish import lock_base_path, translate_os_errors

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tfs_deploy.deployment import Deployment

logger = logging.getLogger(__name__)
#: directories above a base path that are searched for deployment files
_LEVELS: Final = 3
_LARGEST_FILE: Final = 1 << 20


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
        stay = named | {published} | {version.number for version in ours[-keep:]}
        condemned = [version for version in ours if version.number not in stay]
        hidden = [_hide(version, base) for version in condemned]
    for folder in hidden:
        shutil.rmtree(folder, ignore_errors=True)
    return [version.number for version in condemned]


def _hide(version: VersionDir, base: Path) -> Path:
    """Move a version out of sight in one step, so that no server sees it half removed."""
    target = base / owner.current().staging_name()
    version.path.rename(target)
    return target


def named_versions(base: Path, deployments: Sequence[str | os.PathLike[str]] | None, there: Sequence[int]) -> set[int]:
    """Return the versions under ``base`` that deployment files or their rollouts name.

    ``there``: all version numbers, sorted; the policy ``latest N`` names the last N of them. The error of a file
    that cannot be read is raised if the file was given, or if it was found and names the base path.
    """
    files = map(Path, deployments) if deployments is not None else _found(base)
    return {number for file in files for number in _named_by(file, base, there, given=deployments is not None)}


def _named_by(file: Path, base: Path, there: Sequence[int], *, given: bool) -> list[int]:
    try:
        return list(_named_in(load_deployment(file), base, there))
    except TfsDeployError:
        if given or _mentions(file, base):
            raise
        return []


def _mentions(file: Path, base: Path) -> bool:
    """Tell whether a file that cannot be loaded as a deployment has a line with this base path."""
    text = file.read_text(encoding="utf-8", errors="replace")
    written = re.findall(r"""base_path["']?\s*:\s*["']?([^"'#,}\n]+)""", text)
    return any((file.parent / path.strip()).resolve() == base.resolve() for path in written)


def _named_in(deployment: Deployment, base: Path, there: Sequence[int]) -> Iterator[int]:
    active = read_active(deployment.state_dir)
    for model in deployment.models:
        if model.base_path.resolve() != base.resolve():
            continue
        policy = model.version_policy
        yield from policy.versions or ()
        if policy.kind == "latest":
            yield from there[-(policy.count or 1) :]
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
