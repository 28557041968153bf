# SPDX-License-Identifier: Apache-2.0
"""A place that is a directory: a base path, as servers read it."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tfs_deploy.errors import VerdictError
from tfs_deploy.host.regular_file import open_regular
from tfs_deploy.savedmodel.manifest import hash_file
from tfs_deploy.savedmodel.versions import find_version, list_versions
from tfs_deploy.store import owner
from tfs_deploy.store.copy import publish_version
from tfs_deploy.store.identity import identify
from tfs_deploy.store.places.place import Published
from tfs_deploy.store.places.publication import Publication, check_name, folder_name
from tfs_deploy.store.publish import lock_base_path, remove_abandoned, translate_os_errors
from tfs_deploy.store.tree import tree

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.deployment.address import Address
    from tfs_deploy.store.places.place import Report

_CHUNK = 1 << 20


class DirectoryPlace:
    """The versions below a base path; see ``Place``."""

    #: requests that were tried again: a file system makes none
    retries = 0

    def __init__(self, address: Address) -> None:
        self.address = address
        self.base = Path(address.path).expanduser()

    def versions(self) -> dict[int, str]:
        """Return the version directories with a tag of inode and time."""
        if not self.base.exists():
            return {}
        found = {}
        for version in list_versions(self.base):
            if version.number >= 0 and version.path.is_dir():
                about = version.path.stat()
                found[version.number] = f"{about.st_ino}-{about.st_mtime_ns}"
        return found

    def publication(self, number: int) -> Publication:
        """Return one version, whose files are hashed; ``ModelError`` if there is none of that number."""
        folder = find_version(self.base, number).path
        identity = identify(folder)
        paths = ((path.as_posix(), real) for path, real in tree(folder) if real.is_file())
        files = {check_name(name): hash_file(real) for name, real in paths}
        made = dt.datetime.fromtimestamp(folder.stat().st_mtime, dt.timezone.utc).isoformat(timespec="seconds")
        return Publication(number, identity.digest, identity.of, folder_name(number, files), files, "", made, token="")

    def publish(
        self,
        source: Path,
        version: int | str | None = None,
        *,
        check: Callable[[Path], None] | None = None,
        report: Report | None = None,
    ) -> Published:
        """Copy a version directory and rename it into place; see ``Place``."""
        copied = publish_version(source, self.base, version=version, check=check)
        publication = self.publication(copied.version)
        if report is not None:
            report(copied.bytes)
        return Published(publication, len(publication.files), copied.bytes, 0, copied.same_as)

    def fetch(self, publication: Publication, name: str, target: Path, report: Report | None = None) -> None:
        """Copy one file to ``target`` and compare its sum."""
        source = find_version(self.base, publication.number).path / name
        digest = hashlib.sha256()
        with open_regular(source) as opened, target.open("xb") as file:
            while chunk := opened.read(_CHUNK):
                file.write(chunk)
                digest.update(chunk)
                if report is not None:
                    report(len(chunk))
        if digest.hexdigest() != publication.files[name].sha256:
            raise VerdictError(f"{source} changed while it was read", hint="try again when no program writes there")

    def remove(self, number: int) -> None:
        """Move a version out of sight in one step, then remove its files."""
        if number not in self.versions():
            return
        hidden = self.base / owner.current().staging_name()
        with translate_os_errors(self.base), lock_base_path(self.base):
            find_version(self.base, number).path.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)

    def clean(self, older_than: float) -> list[str]:
        """Remove what publishers left that are gone, whatever its age: a process that is there still is known."""
        del older_than
        if not self.base.exists():
            return []
        with translate_os_errors(self.base):
            return sorted(path.name for path in remove_abandoned(self.base))
