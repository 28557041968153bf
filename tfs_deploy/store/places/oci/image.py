# SPDX-License-Identifier: Apache-2.0
"""A version as an image: its manifest, and the config that holds the publication. Pure.

What follows from number and files is in the config, which is therefore the same on every machine; who published it, and
when, is in an annotation of the manifest. A registry keeps both for as long as the tag.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.formats.checked_json import CHECKSUM
from tfs_deploy.store.places.oci.layer import Layer, layers_of
from tfs_deploy.store.places.publication import Publication, read_publication
from tfs_deploy.text import parse_document

MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar"
_ARTIFACT_TYPE: Final = "application/vnd.tfs-deploy.version.v1"
_PUBLICATION: Final = "tfs-deploy.publication"
_FOLDER: Final = "tfs-deploy.folder"
#: the keys of a publication that differ from one attempt to publish to the next
_OF_ATTEMPT: Final = ("publisher", "published_at", "token", "tfs_deploy_version", CHECKSUM)
#: bytes of the largest config that is read: 100,000 files
LARGEST_CONFIG: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Blob:
    """What a descriptor names: ``sha256:HEX`` and the size in bytes."""

    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class Image:
    """A published version: its publication, and each layer with the blob that it is."""

    publication: Publication
    layers: tuple[tuple[Layer, Blob], ...]


def digest_of(data: bytes) -> str:
    """Return the digest of a blob or manifest."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def config_of(publication: Publication, layers: Sequence[Layer], digests: Sequence[str]) -> bytes:
    """Return the config of an image whose uncompressed ``layers`` have these ``digests``."""
    stable = {key: value for key, value in json.loads(publication.to_json()).items() if key not in _OF_ATTEMPT}
    document = {
        # servers of every architecture read the files: runtimes want one to be named
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": list(digests)},
        _PUBLICATION: {"files_in_layers": [len(layer.members) for layer in layers], **stable},
    }
    return _encoded(document)


def manifest_of(publication: Publication, config: bytes, layers: Sequence[Layer], digests: Sequence[str]) -> bytes:
    """Return the manifest of an image."""
    document = json.loads(publication.to_json())
    annotations = {
        "org.opencontainers.image.created": publication.published_at,
        "org.opencontainers.image.version": str(publication.number),
        _FOLDER: publication.folder,
        _PUBLICATION: json.dumps({key: document[key] for key in _OF_ATTEMPT}, ensure_ascii=False),
    }
    return _encoded(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "artifactType": _ARTIFACT_TYPE,
            "config": {"mediaType": _CONFIG_TYPE, "digest": digest_of(config), "size": len(config)},
            "layers": [
                {"mediaType": _LAYER_TYPE, "digest": digest, "size": layer.size}
                for layer, digest in zip(layers, digests, strict=True)
            ],
            "annotations": annotations,
        }
    )


def config_blob(manifest: bytes, where: str) -> Blob:
    """Return the config that a manifest names; ``ModelError`` if it is not that of a version."""
    document = _parsed(manifest, where)
    if document.get("artifactType") != _ARTIFACT_TYPE or not _annotation(document, _PUBLICATION):
        hint = "publish versions with: tfs-deploy publish MODEL_DIR --to PLACE"
        raise ModelError(f"{where} is not a version that tfs-deploy published", hint=hint)
    try:
        config = _blob(document["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise _not_valid(where, error) from error
    if config.size > LARGEST_CONFIG:
        raise _not_valid(where, ValueError(f"its config has {config.size} bytes"))
    return config


def folder_of(manifest: bytes) -> str:
    """Return the name of the folder of a version's files (``publication.folder_name``), empty if there is none."""
    try:
        document = parse_document(manifest)
    except ValueError:
        return ""
    return _annotation(document, _FOLDER) if isinstance(document, dict) else ""


def read_image(manifest: bytes, config: bytes, where: str) -> Image:
    """Return the version that a manifest and its config describe; ``ModelError`` names ``where`` and what is wrong."""
    outer, inner = _parsed(manifest, where), _parsed(config, where)
    try:
        stable = dict(inner[_PUBLICATION])
        counts = [int(count) for count in stable.pop("files_in_layers")]
        of_attempt = json.loads(outer["annotations"][_PUBLICATION])
        document = json.dumps({**stable, **{key: of_attempt[key] for key in _OF_ATTEMPT}}).encode()
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise _not_valid(where, error) from error
    publication = read_publication(document, where)
    try:
        blobs = [_blob(descriptor) for descriptor in outer["layers"]]
        layers = layers_of(publication.number, publication.files, counts)
    except (KeyError, TypeError, ValueError) as error:
        raise _not_valid(where, error) from error
    if [layer.size for layer in layers] != [blob.size for blob in blobs]:
        raise _not_valid(where, ValueError("its layers have other sizes"))
    return Image(publication, tuple(zip(layers, blobs, strict=True)))


def _parsed(data: bytes, where: str) -> Mapping[str, Any]:
    try:
        document = parse_document(data)
    except (ArithmeticError, ValueError, RecursionError) as error:
        raise _not_valid(where, error) from error
    if not isinstance(document, dict):
        raise _not_valid(where, ValueError("it is another kind of document"))
    return document


def _annotation(manifest: Mapping[str, Any], key: str) -> str:
    annotations = manifest.get("annotations")
    return str(annotations.get(key, "")) if isinstance(annotations, dict) else ""


def _blob(descriptor: Any) -> Blob:
    digest, size = descriptor["digest"], descriptor["size"]
    kind, _, digits = str(digest).partition(":")
    if kind != "sha256" or len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise ValueError(f"{digest!r} is not a valid digest")
    if type(size) is not int or size < 0:
        raise ValueError(f"{size!r} is not a valid size")
    return Blob(digest, size)


def _encoded(document: Mapping[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _not_valid(where: str, error: Exception) -> ModelError:
    what = f"{error} is missing" if isinstance(error, KeyError) else str(error)
    hint = "it was changed by another program: publish the version again under a new number"
    return ModelError(f"{where} is not a valid publication: {what}", hint=hint)
