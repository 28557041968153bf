# SPDX-License-Identifier: Apache-2.0
"""The identity of a version: a digest of exactly its files, to which a verdict is bound."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.manifest import build_manifest, read_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


MANIFEST: Final = "manifest"
FILES: Final = "files"


@dataclass(frozen=True, slots=True)
class Identity:
    """sha256 (hex) of a version's manifest, or without one (``of`` is then ``files``) of the sums of its files."""

    digest: str
    of: str

    def __str__(self) -> str:
        return f"{self.of} {self.digest[:12]}"

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"digest": self.digest, "digest_of": self.of}


def identify(version_dir: Path) -> Identity:
    """Return the identity of a version; ``ModelError`` if its manifest cannot be understood."""
    manifest = read_manifest(version_dir)
    if manifest is not None:
        return Identity(manifest.digest, MANIFEST)
    made = build_manifest(version_dir, signature_digest="")
    return identity_of_files({name: entry.sha256 for name, entry in made.files.items()})


def identity_of_files(sums: Mapping[str, str]) -> Identity:
    """Return the identity of a version without a manifest, attestations aside; ``sums``: path -> sha256 (hex)."""
    counting = sorted((name, digest) for name, digest in sums.items() if name not in layout.ATTESTATIONS)
    lines = "".join(f"{digest} {name}\n" for name, digest in counting)
    return Identity(hashlib.sha256(lines.encode()).hexdigest(), FILES)
