# SPDX-License-Identifier: Apache-2.0
"""The manifest of a version: sha256 and size of every file, provenance, and free metadata."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, Literal

from tfs_deploy import __version__
from tfs_deploy.errors import ModelError, file_hint
from tfs_deploy.host.regular_file import open_regular, read_regular
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.formats.checked_json import require_unchanged, with_checksum
from tfs_deploy.text import parse_document

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfs_deploy.protos.signatures import SignatureInfo

#: raised when the document changes in a way that older readers would misread
FORMAT: Final = 1
#: what is wrong with a file of the right size
OTHER_SUM: Final = "its sha256 differs"
_CHUNK: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Checksum (hex) and size (bytes) of one file."""

    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of ``assets.extra/tfs_deploy.json``; ``files`` is keyed by POSIX paths below the version."""

    files: dict[str, FileEntry]
    signature_digest: str
    created_at: str
    tensorflow_version: str | None = None
    keras_version: str | None = None
    git_commit: str | None = None
    tfs_deploy_version: str = __version__
    metadata: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def digest(self) -> str:
        """sha256 (hex) of the whole manifest: one name for exactly these files with this description."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    @property
    def total_bytes(self) -> int:
        """Sum of the sizes of all files."""
        return sum(entry.size for entry in self.files.values())

    def to_json(self) -> str:
        """Return the document, with keys in a stable order."""
        return json.dumps(asdict(self), indent=2, sort_keys=True) + "\n"


@dataclass(frozen=True, slots=True)
class FileProblem:
    """A file that is not what the manifest says."""

    path: str
    kind: Literal["missing", "changed", "unlisted"]
    detail: str

    def __str__(self) -> str:
        return f"{self.path}: {self.kind}, {self.detail}"


def build_manifest(
    version_dir: str | Path,
    *,
    signature_digest: str,
    tensorflow_version: str | None = None,
    keras_version: str | None = None,
    git_commit: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    known: Mapping[str, FileEntry] | None = None,
) -> Manifest:
    """Hash every file below ``version_dir`` (but an older manifest and the attestations) and describe them.

    ``known``: entries of files that were hashed while they were written.
    """
    root = Path(version_dir)
    hashed = dict(known or {})
    return Manifest(
        files={name: hashed.get(name) or hash_file(root / name) for name in _files(root)},
        signature_digest=signature_digest,
        created_at=dt.datetime.now(dt.timezone.utc).isoformat(timespec="seconds"),
        tensorflow_version=tensorflow_version,
        keras_version=keras_version,
        git_commit=git_commit,
        metadata=dict(metadata or {}),
    )


def write_manifest(version_dir: str | Path, manifest: Manifest) -> Path:
    """Write the manifest and return its path; the directory must not be visible to a server yet."""
    path = Path(version_dir, layout.MANIFEST)
    path.parent.mkdir(parents=True, exist_ok=True)
    document = with_checksum(asdict(manifest))
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return path


def read_manifest(version_dir: str | Path) -> Manifest | None:
    """Return the manifest, ``None`` if the version has none; ``ModelError`` if it is not valid."""
    path = Path(version_dir, layout.MANIFEST)
    try:
        data = read_regular(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", hint=file_hint(error)) from error
    try:
        document = parse_document(data)
        require_unchanged(document)
        return _from_document(document)
    except (ArithmeticError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{path} is not a valid manifest: {error}",
            hint="a server serves the version all the same; export it again, or remove the file, which only says "
            "whether the version is as it was exported",
        ) from error


def verify_listed(version_dir: str | Path, manifest: Manifest, names: Iterable[str]) -> list[FileProblem]:
    """Hash some of the files again, as far as the manifest lists them, and describe those that differ."""
    root = Path(version_dir)
    listed = [(name, manifest.files[name]) for name in names if name in manifest.files]
    return [problem for name, entry in listed if (problem := _compare(root, name, entry))]


def verify_manifest(version_dir: str | Path, *, content: bool = True) -> list[FileProblem]:
    """Hash everything again and list what is missing, changed or not listed; ``ModelError`` without a manifest.

    ``content``: false to compare names and sizes only, without reading the files.
    """
    root = Path(version_dir)
    manifest = read_manifest(root)
    if manifest is None:
        raise ModelError(
            f"{root / layout.MANIFEST} does not exist, so there is nothing to check the files against",
            hint="versions written by `tfs-deploy export` have a manifest",
        )
    entries = manifest.files.items()
    problems = [problem for name, entry in entries if (problem := _compare(root, name, entry, content=content))]
    problems += [
        FileProblem(name, "unlisted", "it was added after the export")
        for name in _files(root)
        if name not in manifest.files
    ]
    return sorted(problems, key=lambda problem: problem.path)


def signature_digest(signatures: Mapping[str, SignatureInfo]) -> str:
    """Return the sha256 (hex) of the contract: names, methods, dtypes and shapes of all signatures."""
    contract = {
        name: {
            "method": info.method,
            **{
                side: {key: [spec.dtype, spec.shape] for key, spec in getattr(info, side).items()}
                for side in ("inputs", "outputs")
            },
        }
        for name, info in signatures.items()
    }
    return hashlib.sha256(json.dumps(contract, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _compare(root: Path, name: str, entry: FileEntry, *, content: bool = True) -> FileProblem | None:
    path = root / name
    try:
        size = path.stat().st_size
        if size != entry.size:
            return FileProblem(name, "changed", f"{size} bytes instead of {entry.size}")
        if content and _sha256(path) != entry.sha256:
            return FileProblem(name, "changed", OTHER_SUM)
    except FileNotFoundError:
        return FileProblem(name, "missing", f"{entry.size} bytes are expected")
    except OSError as error:
        return FileProblem(name, "changed", f"it cannot be read: {error.strerror}")
    return None


def _files(root: Path) -> Iterator[str]:
    """Yield the path of every file but the manifest and the attestations, sorted."""
    found = []
    for folder, _, names in os.walk(root):
        found += [Path(folder, name).relative_to(root).as_posix() for name in names]
    return iter(sorted(name for name in found if name not in (layout.MANIFEST, *layout.ATTESTATIONS)))


def hash_file(path: Path) -> FileEntry:
    """Return the entry of a file; ``OSError`` if it cannot be read, or is not a regular file."""
    return FileEntry(_sha256(path), path.stat().st_size)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _from_document(document: Any) -> Manifest:
    if document["format"] != FORMAT:
        raise ValueError(f"format {document['format']!r} is unknown to this version of tfs-deploy")
    files = {}
    for name, entry in document["files"].items():
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"{name!r} is not a path below the version directory")
        files[name] = FileEntry(str(entry["sha256"]), int(entry["size"]))
    return Manifest(
        files=files,
        signature_digest=str(document["signature_digest"]),
        created_at=str(document["created_at"]),
        tensorflow_version=document.get("tensorflow_version"),
        keras_version=document.get("keras_version"),
        git_commit=document.get("git_commit"),
        tfs_deploy_version=str(document.get("tfs_deploy_version", "")),
        metadata=dict(document.get("metadata") or {}),
    )
