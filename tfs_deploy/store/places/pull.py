# SPDX-License-Identifier: Apache-2.0
"""Pull a version out of a place into a local base path: every byte checked, visible complete or not at all."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import EnvironmentFault, ModelError, UsageError, VerdictError
from tfs_deploy.savedmodel.manifest import read_manifest, verify_manifest
from tfs_deploy.savedmodel.versions import find_version, list_versions
from tfs_deploy.store.base_path import check_base_path
from tfs_deploy.store.identity import MANIFEST, Identity, identify, identity_of_files
from tfs_deploy.store.parallel import in_parallel
from tfs_deploy.store.places.place import Packed
from tfs_deploy.store.publish import stage, translate_os_errors
from tfs_deploy.store.signing.trust import open_trust, require_trusted
from tfs_deploy.text import size_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.deployment.deployment import Deployment, Model
    from tfs_deploy.store.places.place import Place, Report
    from tfs_deploy.store.places.publication import Publication

#: bytes that stay free on the disk beside a version
_RESERVE: Final = 16 << 20
#: bytes from which a file is synced while others arrive; the small ones are synced at the end (``publish.sync_tree``)
_LARGE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Pulled:
    """A version that is in the base path now: ``pulled`` is false if it was there already."""

    path: Path
    version: int
    bytes: int
    files: int
    digest: str
    pulled: bool
    retries: int = 0


def newest(place: Place) -> int:
    """Return the highest published number; ``ModelError`` if there is none."""
    versions = place.versions()
    if not versions:
        raise ModelError(
            f"{place.address} holds no published version",
            hint=f"publish one: tfs-deploy publish MODEL_DIR --to {place.address}",
        )
    return max(versions)


def pull_version(
    place: Place,
    number: int | None,
    base_path: str | os.PathLike[str],
    *,
    check: Callable[[Path], None] | None = None,
    report: Report | None = None,
) -> Pulled:
    """Bring a version (default: the newest) into ``base_path`` under its number, or find it there.

    ``check`` is called with the directory before it appears, and raises if it must not.

    Raises:
        ModelError: the place has no such version, or its publication is not valid.
        UsageError: the base path cannot be used, or has another version of that number.
        VerdictError: a file is not what was published.
        EnvironmentFault: the place cannot be reached, or the disk has no room.
    """
    base = check_base_path(base_path)
    wanted = newest(place) if number is None else number
    publication = place.publication(wanted)
    here = _local(base, publication) if publication.digest else None
    if here is not None:
        return _pulled(here, publication, place, pulled=False)
    _require_room(base, publication)
    with stage(base) as staged:
        fetch_files(place, publication, staged.path, report)
        if publication.digest:
            _require_described(place, publication, staged.path)
        else:
            publication = _identified(place, publication, staged.path)
            here = _local(base, publication)
            if here is not None:
                return _pulled(here, publication, place, pulled=False)
        if check is not None:
            check(staged.path)
        try:
            path = staged.publish(wanted).path
        except UsageError:
            here = _local(base, publication)  # another process pulled it meanwhile
            if here is None:
                raise
            return _pulled(here, publication, place, pulled=False)
    return _pulled(path, publication, place, pulled=True)


def pull_for(deployment: Deployment, model: Model, number: int, place: Place, report: Report | None = None) -> Pulled:
    """Bring a version into the base path of a model, if the file of its deployment trusts it.

    It is judged before it appears, or where it is; a key that cannot be used is told before anything is fetched. Raises
    what ``pull_version`` and ``require_trusted`` raise.
    """
    if deployment.trust:
        open_trust(deployment.trust)

    def check(folder: Path) -> None:
        require_trusted(folder, deployment.trust, deployment.revoked)

    pulled = pull_version(place, number, model.base_path, check=check, report=report)
    if not pulled.pulled:
        check(pulled.path)
    return pulled


def fetch_files(place: Place, publication: Publication, folder: Path, report: Report | None = None) -> None:
    """Write all files of a version below an empty directory, the largest first, several at once."""
    with translate_os_errors(folder.parent):  # the staging directory itself is gone when the error is read
        for parent in sorted({(folder / name).parent for name in publication.files}):
            parent.mkdir(parents=True, exist_ok=True)
        names = sorted(publication.files, key=lambda name: (-publication.files[name].size, name))
        if isinstance(place, Packed):
            place.fetch_all(publication, folder, report)
            return

        def fetch(name: str) -> None:
            place.fetch(publication, name, folder / name, report)
            if publication.files[name].size >= _LARGE:
                with (folder / name).open("rb+") as file:
                    os.fsync(file.fileno())

        in_parallel(fetch, names)


def _require_described(place: Place, publication: Publication, folder: Path) -> None:
    manifest = read_manifest(folder)
    # every byte was compared with its sum as it came
    found = identity_of_files(publication.sums) if manifest is None else Identity(manifest.digest, MANIFEST)
    if found.digest != publication.digest:
        raise ModelError(
            f"version {publication.number} of {place.address} is not the one that its publication describes: "
            f"{found}, not {publication.digest[:12]}",
            hint="publish it again under a new number",
        )


def _identified(place: Place, publication: Publication, folder: Path) -> Publication:
    """Return the publication with the identity of what arrived, out of a place that knows no sums."""
    problems = [] if read_manifest(folder) is None else verify_manifest(folder)
    if problems:
        raise VerdictError(
            f"version {publication.number} of {place.address} has changed since the export: {problems[0]}",
            hint="register it again from where it was exported",
        )
    identity = identify(folder)
    return replace(publication, digest=identity.digest, digest_of=identity.of)


def _pulled(path: Path, publication: Publication, place: Place, *, pulled: bool) -> Pulled:
    files = len(publication.files)
    return Pulled(path, publication.number, publication.total_bytes, files, publication.digest, pulled, place.retries)


def _local(base: Path, publication: Publication) -> Path | None:
    """Return the directory of the same version, ``None`` if the number is free; ``UsageError`` if it is another."""
    number = publication.number
    if not base.exists() or all(version.number != number for version in list_versions(base)):
        return None
    path = find_version(base, number).path
    if identify(path).digest != publication.digest:
        raise UsageError(
            f"{path} has other files than version {number} that {publication.by} published",
            hint="versions are never overwritten: pull into another base path, or move this one away",
        )
    return path


def _require_room(base: Path, publication: Publication) -> None:
    there = next(folder for folder in (base, *base.parents) if folder.exists())
    free = shutil.disk_usage(there).free
    if free < publication.total_bytes + _RESERVE:
        raise EnvironmentFault(
            f"version {publication.number} needs {size_text(publication.total_bytes)}, "
            f"but the disk of {base} has {size_text(free)} left",
            hint="free some space, or pull to another disk",
            retriable=True,
        )
