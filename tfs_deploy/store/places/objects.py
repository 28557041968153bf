# SPDX-License-Identifier: Apache-2.0
"""A place in an object store: S3 and what speaks like it, Google Cloud Storage, Azure Blob Storage (obstore).

Below the address: ``files/N-DIGEST16/`` holds a version's files as they are in its directory, so that it can be read
as a SavedModel where it lies; ``published/N.json`` is its publication, put last and only if there is none.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import ModelError, UsageError, VerdictError
from tfs_deploy.extras import import_extra
from tfs_deploy.store.places.faults import VARIABLES, Fault, sentence, understand
from tfs_deploy.store.places.publication import (
    Publication,
    missing_version,
    number_of_folder,
    read_publication,
    require_number,
)
from tfs_deploy.store.places.retry import Failure, Lost, Patience, Requests
from tfs_deploy.store.places.upload import CHUNK, Sent, checked_chunks, publish_version, same_files, upload_objects

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.deployment.address import Address
    from tfs_deploy.savedmodel.manifest import FileEntry
    from tfs_deploy.store.places.place import Published, Report

FILES: Final = "files"
PUBLISHED: Final = "published"
#: bytes up to which a file is one request; larger ones are sent in parts of at least this size
_WHOLE: Final = 5 << 20
_PARTS: Final = 9000


class ObjectPlace:
    """The versions of one model below a prefix of a bucket; see ``Place``."""

    def __init__(self, address: Address, patience: Patience | None = None) -> None:
        self._obstore = import_extra("obstore", "storage")
        exceptions = import_extra("obstore.exceptions", "storage")
        self.address = address.base
        self.requests = Requests(patience or Patience(), (exceptions.BaseError, OSError, Lost), self._judge)
        self._prefix = f"{address.path}/" if address.path else ""
        self._store = _open(self.address, self.requests.patience, retries=0)
        # the parts of a large object cannot be tried again one by one from here
        self._patient = _open(self.address, self.requests.patience, retries=10)

    @property
    def retries(self) -> int:
        """How many requests were tried again so far; those for parts of a large object are not known."""
        return self.requests.retried

    def versions(self) -> dict[int, str]:
        """Return the published versions with the etag of their publications, by one LIST."""
        found = {}
        for meta in self.listed(f"{PUBLISHED}/"):
            name = meta["path"].rpartition("/")[2]
            number = name.removesuffix(".json")
            if name.endswith(".json") and number.isascii() and number.isdigit() and str(int(number)) == number:
                found[int(number)] = str(meta.get("e_tag") or meta["last_modified"])
        return dict(sorted(found.items()))

    def publication(self, number: int) -> Publication:
        """Return one version, by one GET; ``ModelError`` if there is none of that number."""
        found = self.publication_or_none(number)
        if found is None:
            raise missing_version(self.address, number, self.versions())
        return found

    def publication_or_none(self, number: int) -> Publication | None:
        """Return one version, ``None`` if there is none of that number."""
        key = self._key(f"{PUBLISHED}/{number}.json")
        try:
            data = self.requests.call(
                "reading a publication",
                lambda: bytes(self._obstore.get(self._store, key).bytes()),
                passing=(FileNotFoundError,),
            )
        except FileNotFoundError as error:
            self._require_bucket(error)
            return None
        publication = read_publication(data, f"{self.address}/{PUBLISHED}/{number}.json")
        require_number(publication, number, self.address)
        return publication

    def publish(
        self,
        source: Path,
        version: int | str | None = None,
        *,
        check: Callable[[Path], None] | None = None,
        report: Report | None = None,
    ) -> Published:
        """Upload what is not there yet, then put the publication; see ``Place``."""
        return publish_version(self, source, version, check=check, report=report)

    def upload(self, publication: Publication, paths: Mapping[str, Path], report: Report) -> Sent:
        """Upload the files of a version that are not there yet."""
        return upload_objects(self, publication, paths, report)

    def put_publication(self, publication: Publication) -> Publication | None:
        """Put a publication if there is none of its number; return ``None``, or the one that is there."""
        already = self._obstore.exceptions.AlreadyExistsError
        key, data = self._key(f"{PUBLISHED}/{publication.number}.json"), publication.to_json()
        try:
            self.requests.call(
                "publishing",
                lambda: self._obstore.put(self._store, key, data, mode="create", use_multipart=False),
                passing=(already,),
            )
        except already:
            there = self.publication_or_none(publication.number)
            if there is None:
                raise UsageError(f"version {publication.number} was published and removed meanwhile") from None
            # an answer that was lost: the first try had put it
            return None if there.token == publication.token else there
        return None

    def same_as(self, publication: Publication, published: Collection[int]) -> tuple[int, ...]:
        """Return the other versions of the same files, by one LIST."""
        return same_files(publication.folder, self.folders(), published)

    def discard(self, publication: Publication, winner: Publication) -> None:
        """Remove the files of a publication whose number another one has won, unless that names them."""
        if winner.folder != publication.folder:
            self.delete([f"{FILES}/{publication.folder}/{name}" for name in publication.files])

    def put_file(self, key: str, path: Path, entry: FileEntry, report: Report, *, parts: int) -> None:
        """Upload one file, so many ``parts`` of it at a time if it is large.

        Raises ``VerdictError``, before it is visible, if it is not what ``entry`` says.
        """
        whole = self._key(key)
        if entry.size <= _WHOLE:
            data = b"".join(checked_chunks(path, entry))
            self.requests.call(
                "writing files", lambda: self._obstore.put(self._store, whole, data, use_multipart=False)
            )
            report(len(data))
            return
        part = max(_WHOLE, -(-entry.size // _PARTS))
        stopped: list[BaseException] = []

        def chunks() -> Iterator[bytes]:
            try:
                for chunk in checked_chunks(path, entry):
                    report(len(chunk))
                    yield chunk
            except BaseException as error:
                stopped.append(error)
                raise

        def put() -> Any:
            stopped.clear()
            try:
                return self._obstore.put(self._patient, whole, chunks(), chunk_size=part, max_concurrency=parts)
            except self.requests.failures:
                if stopped:
                    raise stopped[0] from None
                raise

        self.requests.call("writing files", put)

    def fetch(self, publication: Publication, name: str, target: Path, report: Report | None = None) -> None:
        """Stream one file to ``target`` and compare its sum; a cut connection goes on where it was cut."""
        entry = publication.files[name]
        key = self._key(f"{FILES}/{publication.folder}/{name}")
        digest, done, failures = hashlib.sha256(), 0, 0
        with target.open("xb") as file:
            while done < entry.size or not entry.size:
                before = done
                try:
                    for chunk in self._body(key, done, entry):
                        file.write(chunk)
                        digest.update(chunk)
                        done += len(chunk)
                        if report is not None:
                            report(len(chunk))
                    if done < entry.size:
                        raise Lost
                    break
                except FileNotFoundError as error:
                    if error.errno is not None:
                        raise
                    self._require_bucket(error)
                    raise self._gone(publication, name) from None
                except self.requests.failures as error:
                    failures = 1 if done > before else failures + 1
                    self.requests.failed("reading files", error, failures)
        if digest.hexdigest() != entry.sha256:
            where = f"{self.address}/{FILES}/{publication.folder}/{name}"
            raise VerdictError(f"{where} is not what was published: its sha256 differs", hint=_AGAIN)

    def _body(self, key: str, start: int, entry: FileEntry) -> Iterator[Any]:
        self.requests.made += 1
        options = {"range": {"offset": start}} if start else {}
        answer = self._obstore.get(self._store, key, options=options)
        if answer.meta["size"] != entry.size:
            what = f"it has {answer.meta['size']} bytes instead of {entry.size}"
            where = f"{self.address}{key.removeprefix(self._prefix.rstrip('/'))}"
            raise VerdictError(f"{where} is not what was published: {what}", hint=_AGAIN)
        if entry.size <= CHUNK:
            yield answer.bytes()
            return
        yield from answer.stream(min_chunk_size=CHUNK)

    def _gone(self, publication: Publication, name: str) -> ModelError:
        there = self.publication_or_none(publication.number)
        if there is None:
            return ModelError(
                f"version {publication.number} was removed from {self.address} while it was read",
                hint="take a newer version",
                retriable=True,
            )
        where = f"{self.address}/{FILES}/{publication.folder}/{name}"
        return ModelError(f"{where} is missing, though version {publication.number} is published", hint=_AGAIN)

    def remove(self, number: int) -> None:
        """Remove a version: its publication, then the files that no other one names."""
        publication = self.publication_or_none(number)
        if publication is None:
            return
        self.delete([f"{PUBLISHED}/{number}.json"])
        self.delete([f"{FILES}/{publication.folder}/{key}" for key in self.sizes(publication.folder)])

    def clean(self, older_than: float) -> list[str]:
        """Remove the folders that no publication names and that got no object for ``older_than`` seconds."""
        newest: dict[str, dt.datetime] = {}
        keys: dict[str, list[str]] = {}
        for meta in self.listed(f"{FILES}/"):
            key = meta["path"].removeprefix(self._prefix)
            folder = key.split("/", 2)[1]
            if number_of_folder(folder) is not None:
                newest[folder] = max(newest.get(folder, meta["last_modified"]), meta["last_modified"])
                keys.setdefault(folder, []).append(key)
        # read after the files: what is published meanwhile is seen
        named = {self.publication(number).folder for number in self.versions()} if newest else set()
        limit = dt.datetime.now(dt.timezone.utc) - dt.timedelta(seconds=older_than)
        condemned = sorted(folder for folder, last in newest.items() if folder not in named and last <= limit)
        for folder in condemned:
            self.delete(keys[folder])
        return condemned

    def listed(self, below: str) -> list[Any]:
        """Return what a store tells of each object below a key that ends in a slash."""

        def pages() -> list[Any]:
            return [meta for page in self._obstore.list(self._store, self._key(below)) for meta in page]

        try:
            return self.requests.call("listing versions", pages, passing=(FileNotFoundError,))
        except FileNotFoundError as error:
            self._require_bucket(error)
            return []

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the size of each object of a folder of files, by its path below it."""
        start = self._key(f"{FILES}/{folder}/")
        return {meta["path"].removeprefix(start): meta["size"] for meta in self.listed(f"{FILES}/{folder}/")}

    def folders(self) -> list[str]:
        """Return the names of the folders of files, by one LIST."""
        key = self._key(f"{FILES}/")
        found = self.requests.call(
            "listing versions", lambda: self._obstore.list_with_delimiter(self._store, key)["common_prefixes"]
        )
        return [str(prefix).rstrip("/").rpartition("/")[2] for prefix in found]

    def delete(self, keys: list[str]) -> None:
        """Delete objects; those that are gone already are no mistake."""
        for start in range(0, len(keys), 1000):
            batch = [self._key(key) for key in keys[start : start + 1000]]
            try:
                self.requests.call(
                    "removing files",
                    lambda batch=batch: self._obstore.delete(self._store, batch),  # type: ignore[misc]
                    passing=(FileNotFoundError,),
                )
            except FileNotFoundError as error:
                self._require_bucket(error)

    def _judge(self, error: Exception) -> Failure:
        fault = Fault(kind="lost") if isinstance(error, Lost) else understand(str(error))
        return Failure(fault.passes, fault.unreachable, lambda doing: sentence(fault, self.address, doing))

    def _key(self, key: str) -> str:
        return self._prefix + key

    def _require_bucket(self, error: FileNotFoundError) -> None:
        """Raise the error of a missing bucket, which obstore tells like a missing object."""
        fault = understand(str(error))
        if fault.code not in ("NoSuchKey", "BlobNotFound", "") or fault.status not in (0, 404):
            raise sentence(fault, self.address, "reading") from None


_AGAIN: Final = "publish the version again under a new number, and find out what else writes into the store"


def _open(address: Address, patience: Patience, *, retries: int) -> Any:
    """Open a store with credentials out of the environment; plain HTTP only where the environment names it."""
    stores = import_extra("obstore.store", "storage")
    exceptions = import_extra("obstore.exceptions", "storage")
    kind = {"s3": stores.S3Store, "gs": stores.GCSStore, "az": stores.AzureStore}[address.scheme]
    endpoint = next((os.environ[name] for name in _endpoints(address.scheme) if os.environ.get(name)), "")
    options: dict[str, Any] = {
        "connect_timeout": dt.timedelta(seconds=min(5.0, patience.silence)),
        "read_timeout": dt.timedelta(seconds=patience.silence),
        # of one whole request, which may be a file of many GB: silence is what ends it
        "timeout": dt.timedelta(hours=2),
        "pool_max_idle_per_host": "32",
    }
    if endpoint.startswith("http://"):
        options["allow_http"] = True
    retry = {"max_retries": retries, "retry_timeout": dt.timedelta(minutes=3)}
    try:
        return kind(address.bucket, client_options=options, retry_config=retry)
    except (exceptions.BaseError, ValueError) as error:
        who, secret = VARIABLES[address.scheme][:2]
        raise UsageError(
            f"{address} cannot be opened with the variables of the environment ({type(error).__name__})",
            hint=f"check {who}, {secret} and the endpoint",
        ) from None


def _endpoints(scheme: str) -> tuple[str, ...]:
    if scheme == "s3":
        return "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"
    return ("AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT") if scheme == "az" else ("GOOGLE_BASE_URL",)
