# SPDX-License-Identifier: Apache-2.0
"""A place in a registry of images: a repository whose tags are the numbers of versions.

A version is an image: its layers hold ``7/saved_model.pb`` and so on, its config the publication. The tag is put last.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import ModelError, UsageError, VerdictError
from tfs_deploy.savedmodel.versions import version_number
from tfs_deploy.store.parallel import in_parallel
from tfs_deploy.store.places.oci.faults import cannot_delete
from tfs_deploy.store.places.oci.image import (
    Blob,
    Image,
    config_blob,
    config_of,
    digest_of,
    folder_of,
    manifest_of,
    read_image,
)
from tfs_deploy.store.places.oci.layer import Layer, plan_layers
from tfs_deploy.store.places.oci.registry import Gone, Registry
from tfs_deploy.store.places.publication import missing_version, require_number
from tfs_deploy.store.places.retry import Patience
from tfs_deploy.store.places.upload import Sent, checked_chunks, publish_version, same_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from tfs_deploy.deployment.address import Address
    from tfs_deploy.store.places.place import Published, Report
    from tfs_deploy.store.places.publication import Publication

#: versions whose files are compared with those of a new one: each costs a request, which some registries count
_COMPARED: Final = 16
#: how often the time of its own look and push a publisher waits for one that crossed it
_SETTLING: Final = 4
#: seconds that it waits at least, and at most
_SHORTEST: Final = 0.05
_LONGEST: Final = 2.0
_AGAIN: Final = "publish the version again under a new number, and find out what else writes into the registry"


class OciPlace:
    """The versions of one model in a repository; see ``Place`` and ``Packed``."""

    def __init__(self, address: Address, patience: Patience | None = None) -> None:
        self.address = address.base
        self.registry = Registry(self.address, patience or Patience())
        #: by the token of a publication: the images that were read, and the manifests of uploads
        self._images: dict[str, Image] = {}
        self._manifests: dict[str, bytes] = {}

    @property
    def retries(self) -> int:
        """How many requests were tried again so far."""
        return self.registry.requests.retried

    def versions(self) -> dict[int, str]:
        """Return the tags that are numbers, by one request for some 1000 of them."""
        numbers = ((version_number(tag), tag) for tag in self.registry.tags())
        return dict.fromkeys(sorted(n for n, tag in numbers if n is not None and n >= 0 and str(n) == tag), "")

    def publication(self, number: int) -> Publication:
        """Return one version, by two GETs; ``ModelError`` if there is none of that number, or it is another image."""
        found = self._image(number)
        if found is None:
            raise missing_version(self.address, number, self.versions())
        return found.publication

    def _image(self, number: int) -> Image | None:
        where = str(self.address.at(number))
        manifest = self.registry.manifest(str(number))
        if manifest is None:
            return None
        config = config_blob(manifest, where)
        try:
            image = read_image(manifest, self.registry.small_blob(config.digest, config.size), where)
        except Gone:
            raise self._gone(number) from None
        require_number(image.publication, number, self.address)
        self._images[image.publication.token] = image
        return image

    def publish(
        self,
        source: Path,
        version: int | str | None = None,
        *,
        check: Callable[[Path], None] | None = None,
        report: Report | None = None,
    ) -> Published:
        """Upload what is not there yet, then put the tag; see ``Place``."""
        return publish_version(self, source, version, check=check, report=report)

    def upload(self, publication: Publication, paths: Mapping[str, Path], report: Report) -> Sent:
        """Upload the layers and the config that are not there yet."""
        files = publication.files
        layers = plan_layers(publication.number, files)
        digests: dict[int, str] = {}
        sent: list[Layer] = []

        def content(name: str) -> Iterator[bytes]:
            return checked_chunks(paths[name], files[name])

        def reported(name: str) -> Iterator[bytes]:
            for chunk in content(name):
                report(len(chunk))
                yield chunk

        def put(index: int) -> None:
            layer = layers[index]
            digest = hashlib.sha256()
            for chunk in layer.chunks(content):
                digest.update(chunk)
            digests[index] = f"sha256:{digest.hexdigest()}"
            if not self.registry.has_blob(digests[index]):
                self.registry.put_blob(digests[index], layer.size, lambda: layer.chunks(reported))
                sent.append(layer)

        in_parallel(put, range(len(layers)))
        ordered = [digests[index] for index in range(len(layers))]
        config = config_of(publication, layers, ordered)
        if not self.registry.has_blob(digest_of(config)):
            self.registry.put_blob(digest_of(config), len(config), lambda: iter([config]))
        self._manifests[publication.token] = manifest_of(publication, config, layers, ordered)
        members = [member for layer in sent for member in layer.members]
        return Sent(len(members), sum(member.size for member in members), len(files) - len(members))

    def put_publication(self, publication: Publication) -> Publication | None:
        """Put the tag if there is none of its number; return ``None``, or the publication that is there.

        A registry has no such request: it is looked for before and after, and what crosses this in between is told to
        the one whose tag was replaced, where that can still be seen.
        """
        number, manifest = publication.number, self._manifests[publication.token]
        began = time.monotonic()
        if self.registry.digest(str(number)) is not None:
            return self._winner(number)
        refused = self.registry.put_manifest(str(number), manifest)
        if refused is None:
            time.sleep(min(_LONGEST, max(_SHORTEST, _SETTLING * (time.monotonic() - began))))
        there = self.registry.digest(str(number))
        if there == digest_of(manifest):
            return None
        if there is None and refused is not None:
            raise self.registry.sentence(refused, "publishing")
        return self._winner(number)

    def _winner(self, number: int) -> Publication:
        there = self._image(number)
        if there is None:
            raise UsageError(f"version {number} was published and removed meanwhile", hint="publish again")
        return there.publication

    def same_as(self, publication: Publication, published: Collection[int]) -> tuple[int, ...]:
        """Return the other versions of the same files, among the newest ones: each is read by one GET."""
        folders: list[str] = []

        def read(number: int) -> None:
            manifest = self.registry.manifest(str(number))
            if manifest is not None:
                folders.append(folder_of(manifest))

        in_parallel(read, sorted(published)[-_COMPARED:])
        return same_files(publication.folder, folders, published)

    def discard(self, publication: Publication, winner: Publication) -> None:
        """Leave what was uploaded to the registry, which collects what no manifest names."""
        del winner
        self._manifests.pop(publication.token, None)

    def fetch(self, publication: Publication, name: str, target: Path, report: Report | None = None) -> None:
        """Read one file out of its layer, by one GET of a range, and compare its sum."""
        for layer, blob in self._layers(publication):
            for member in layer.members:
                if member.name == name:
                    chunks = self._bytes(publication, blob.digest, member.offset, member.offset + member.size)
                    self._write(publication, name, chunks, target, report)

    def fetch_all(self, publication: Publication, folder: Path, report: Report | None = None) -> None:
        """Read each layer once, several at a time, and compare the sum of each file."""

        def read(index: int) -> None:
            layer, blob = layers[index]
            pieces = layer.files(self._bytes(publication, blob.digest, 0, blob.size))
            for name, group in groupby(pieces, key=lambda piece: piece[0]):
                self._write(publication, name, (piece for _, piece in group), folder / name, report)

        layers = self._layers(publication)
        in_parallel(read, range(len(layers)))

    def _layers(self, publication: Publication) -> tuple[tuple[Layer, Blob], ...]:
        image = self._images.get(publication.token) or self._image(publication.number)
        if image is None or image.publication.token != publication.token:
            raise self._gone(publication.number)
        return image.layers

    def _bytes(self, publication: Publication, digest: str, start: int, stop: int) -> Iterator[bytes]:
        try:
            yield from self.registry.blob(digest, start, stop)
        except Gone:
            raise self._gone(publication.number) from None

    def _write(
        self,
        publication: Publication,
        name: str,
        chunks: Iterable[bytes | memoryview],
        target: Path,
        report: Report | None,
    ) -> None:
        digest = hashlib.sha256()
        with target.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
                digest.update(chunk)
                if report is not None:
                    report(len(chunk))
        if digest.hexdigest() != publication.files[name].sha256:
            where = self.address.at(publication.number)
            raise VerdictError(f"{name} in {where} is not what was published: its sha256 differs", hint=_AGAIN)

    def _gone(self, number: int) -> ModelError:
        if self.registry.digest(str(number)) is None:
            return ModelError(
                f"version {number} was removed from {self.address} while it was read",
                hint="take a newer version",
                retriable=True,
            )
        return ModelError(f"a blob of {self.address.at(number)} is missing, though it is published", hint=_AGAIN)

    def remove(self, number: int) -> None:
        """Remove a version: its manifest, and so its tag; the registry collects the blobs.

        Raises ``EnvironmentFault`` where the registry does not allow it, ``ModelError`` for an image of another kind.
        """
        manifest = self.registry.manifest(str(number))
        if manifest is None:
            return
        config_blob(manifest, str(self.address.at(number)))  # a number may be the tag of something else
        if not self.registry.delete_manifest(digest_of(manifest)):
            raise cannot_delete(self.address)

    def clean(self, older_than: float) -> list[str]:
        """Remove nothing: what no manifest names is collected by the registry itself."""
        del older_than
        return []
