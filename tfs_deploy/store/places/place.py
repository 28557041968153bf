# SPDX-License-Identifier: Apache-2.0
"""The contract of a place: it holds the versions of one model, each complete or not there at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from tfs_deploy.deployment.address import Address
    from tfs_deploy.store.places.publication import Publication

#: told how many bytes were moved since the last call
Report = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Published:
    """What publishing did: the publication, the files and bytes sent, what was there, and versions of the same files.

    ``retries``: requests that had to be tried again.
    """

    publication: Publication
    sent: int
    sent_bytes: int
    there: int
    same_as: tuple[int, ...] = ()
    retries: int = 0


class Place(Protocol):
    """Where the versions of one model are. All methods raise errors of ``tfs_deploy.errors`` only."""

    @property
    def address(self) -> Address:
        """How users name it."""

    @property
    def retries(self) -> int:
        """How many requests were tried again so far."""

    def versions(self) -> dict[int, str]:
        """Return the published versions, ascending, each with a tag that differs once it is another version.

        It is empty where a place tells it by one request for each version only.
        """

    def publication(self, number: int) -> Publication:
        """Return one version; ``ModelError`` if there is none of that number.

        Its digest and the sums of its files are empty where they are known only of what was fetched.
        """

    def publish(
        self,
        source: Path,
        version: int | str | None = None,
        *,
        check: Callable[[Path], None] | None = None,
        report: Report | None = None,
    ) -> Published:
        """Publish a version directory, complete or not at all.

        ``version``: ``None`` = the number after the highest, ``"timestamp"``, or a number, for which ``UsageError``
        tells who has it already. ``check`` is called with the directory and raises if it must not be published.
        """

    def fetch(self, publication: Publication, name: str, target: Path, report: Report | None = None) -> None:
        """Write one file of a version to ``target``, which must not exist; ``VerdictError`` if its sum differs."""

    def remove(self, number: int) -> None:
        """Remove a version: its publication first, so that no reader sees it half removed."""

    def clean(self, older_than: float) -> list[str]:
        """Remove what publishers abandoned more than ``older_than`` seconds ago, and return its names."""


@runtime_checkable
class Packed(Protocol):
    """A place that keeps many files in one object, and so hands out all of a version's at once."""

    def fetch_all(self, publication: Publication, folder: Path, report: Report | None = None) -> None:
        """Write all files of a version below a directory that has their folders; ``VerdictError`` if a sum differs."""
