# SPDX-License-Identifier: Apache-2.0
"""Publishing into a store that is remote: a pure plan, a parallel upload, the publication last."""

from __future__ import annotations

import datetime as dt
import getpass
import hashlib
import os
import secrets
import socket
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from tfs_deploy.errors import UsageError, VerdictError
from tfs_deploy.host.regular_file import open_regular
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.manifest import OTHER_SUM, FileEntry, hash_file, read_manifest
from tfs_deploy.savedmodel.review import NO_MANIFEST, Accepts, review_manifest
from tfs_deploy.store.base_path import check_version
from tfs_deploy.store.identity import MANIFEST, Identity, identity_of_files
from tfs_deploy.store.parallel import THREADS, in_parallel
from tfs_deploy.store.places.place import Published, Report
from tfs_deploy.store.places.publication import Publication, check_name, folder_name, number_of_folder
from tfs_deploy.store.tree import tree

if TYPE_CHECKING:
    from tfs_deploy.deployment.address import Address

#: bytes read or written at once: what is hashed is in the cache of the processor still when it goes on
CHUNK: Final = 1 << 17
_ACCEPTS: Final = Accepts(frozenset({NO_MANIFEST}))
_INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Sent:
    """What an upload did: files and bytes that were sent, and files that were there."""

    files: int
    bytes: int
    there: int


class Remote(Protocol):
    """What publishing needs of a place."""

    @property
    def address(self) -> Address:
        """How users name it."""

    @property
    def retries(self) -> int:
        """How many requests were tried again so far."""

    def versions(self) -> dict[int, str]:
        """Return the published versions, ascending."""

    def publication(self, number: int) -> Publication:
        """Return one version."""

    def upload(self, publication: Publication, paths: Mapping[str, Path], report: Report) -> Sent:
        """Upload what is not there yet of the files at ``paths``."""

    def put_publication(self, publication: Publication) -> Publication | None:
        """Put a publication if there is none of its number; return ``None``, or the one that is there."""

    def same_as(self, publication: Publication, published: Collection[int]) -> tuple[int, ...]:
        """Return the other versions of the same files."""

    def discard(self, publication: Publication, winner: Publication) -> None:
        """Remove what was uploaded for a publication whose number another one has won."""


class Objects(Protocol):
    """What an upload needs of an object store: one place in it (``places.objects``)."""

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size of each object of a folder of files."""

    def put_file(self, key: str, path: Path, entry: FileEntry, report: Report, *, parts: int) -> None:
        """Upload one file, so many parts of it at a time if it is large."""


@dataclass(frozen=True, slots=True)
class Item:
    """One object to put: its path below the version, its size in bytes and its sha256."""

    name: str
    size: int
    sha256: str


def plan_upload(files: Mapping[str, FileEntry], there: Mapping[str, int]) -> list[Item]:
    """Return the objects to put, in order: the largest first, as the last to end decides when all is done.

    Args:
        files: the files of the version.
        there: sizes of the objects that are in the folder of exactly these files. Those of the right size are left
            out; the smallest file is put in any case, so that a folder in use is never an old one to ``clean``.
    """
    missing = {name for name, entry in files.items() if there.get(name) != entry.size}
    if files and there:
        missing.add(min(files, key=lambda name: (files[name].size, name)))
    items = [Item(name, files[name].size, files[name].sha256) for name in missing]
    return sorted(items, key=lambda item: (-item.size, item.name))


def next_number(published: Collection[int], wanted: int | str | None, now: float) -> int:
    """Return the number of a new version; ``UsageError`` if there is none left above the highest."""
    if isinstance(wanted, int):
        return wanted
    highest = max(published, default=0)
    number = max(int(now), 0) if wanted == "timestamp" else max(highest + 1, 1)
    while number in published:
        number += 1
    if number > _INT64_MAX:
        raise UsageError("there is no version number left above the newest", hint="give a version number")
    return number


def same_files(folder: str, folders: Iterable[str], published: Collection[int]) -> tuple[int, ...]:
    """Return the other published versions whose folder has the same digest, which means the same files."""
    digest = folder.partition("-")[2]
    found = {number_of_folder(name) for name in folders if name != folder and name.partition("-")[2] == digest}
    return tuple(sorted(number for number in found if number is not None and number in published))


def publish_version(
    place: Remote,
    source: Path,
    version: int | str | None,
    *,
    check: Callable[[Path], None] | None,
    report: Report | None,
) -> Published:
    """Publish a version directory; see ``Place.publish``."""
    wanted = check_version(version)
    published = place.versions()
    if isinstance(wanted, int) and wanted in published:
        raise _taken(place, place.publication(wanted), published, None)
    folder = inspect_model(source).path
    paths = {check_name(path.as_posix()): real for path, real in tree(folder) if real.is_file()}
    refused = _ACCEPTS.refused(review_manifest(folder, content=False))  # sums are compared as the files are sent
    if refused:
        raise VerdictError(f"{folder} has changed since the export: {refused[0]}", hint="export the version again")
    if check is not None:
        check(folder)
    manifest = read_manifest(folder)
    known = {} if manifest is None else manifest.files
    files = _entries(paths, known)
    identity = (
        identity_of_files({name: entry.sha256 for name, entry in files.items()})
        if manifest is None
        else Identity(manifest.digest, MANIFEST)
    )
    while True:
        number = next_number(published, wanted, time.time())
        publication = Publication(
            number=number,
            digest=identity.digest,
            digest_of=identity.of,
            folder=folder_name(number, files),
            files=files,
            publisher=_publisher(),
            published_at=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
            token=secrets.token_hex(16),
        )
        sent = place.upload(publication, paths, report or (lambda _: None))
        winner = place.put_publication(publication)
        if winner is None:
            same = place.same_as(publication, published)
            return Published(publication, sent.files, sent.bytes, sent.there, same, place.retries)
        place.discard(publication, winner)
        published = place.versions()
        if isinstance(wanted, int):
            raise _taken(place, winner, published, publication)


def checked_chunks(path: Path, entry: FileEntry) -> Iterator[bytes]:
    """Yield the content of a file; ``VerdictError`` at its end if it is not what ``entry`` says."""
    digest, size = hashlib.sha256(), 0
    with open_regular(path, buffering=0) as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            size += len(chunk)
            yield chunk
    if (digest.hexdigest(), size) != (entry.sha256, entry.size):
        raise VerdictError(
            f"{path} has changed since the export, or while it was published: {OTHER_SUM}",
            hint="export the version again, or publish when no program writes there",
        )


def _compare(path: Path, entry: FileEntry) -> None:
    for _ in checked_chunks(path, entry):
        pass


def _entries(paths: Mapping[str, Path], known: Mapping[str, FileEntry]) -> dict[str, FileEntry]:
    """Return the entry of each file; those that are not known are hashed."""
    found = dict(known)

    def add(name: str) -> None:
        found[name] = hash_file(paths[name])

    in_parallel(add, paths.keys() - known.keys())
    return {name: found[name] for name in paths}


def upload_objects(place: Objects, publication: Publication, paths: Mapping[str, Path], report: Report) -> Sent:
    """Upload the files of a version that are not in its folder yet, several at once."""
    files = publication.files
    items = plan_upload(files, place.sizes(publication.folder))
    sent = {item.name for item in items}
    in_parallel(lambda name: _compare(paths[name], files[name]), files.keys() - sent)
    # few files leave room for parts of each: what is under way, and so memory, is bounded either way
    parts = max(1, THREADS // max(1, len(items)))

    def put(item: Item) -> None:
        key = f"files/{publication.folder}/{item.name}"
        place.put_file(key, paths[item.name], publication.files[item.name], report, parts=parts)

    in_parallel(put, items)
    return Sent(len(items), sum(item.size for item in items), len(files) - len(items))


def _taken(place: Remote, winner: Publication, published: Collection[int], mine: Publication | None) -> UsageError:
    same = ", with the same files" if mine is not None and mine.folder == winner.folder else ""
    return UsageError(
        f"version {winner.number} already exists in {place.address}: published by {winner.by}{same}",
        hint=f"versions are never overwritten; leave the number out to get {next_number(published, None, 0.0)}",
    )


def _publisher() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "?"
    return f"{user}@{socket.gethostname()} (process {os.getpid()})"
