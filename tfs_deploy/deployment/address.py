# SPDX-License-Identifier: Apache-2.0
"""The address of a place, as it is typed: ``DIR``, ``s3://bucket/prefix``, ``gs://...``, ``az://...``, ``oci://...``.

Pure.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from tfs_deploy.deployment.mlflow_address import MLFLOW, RegisteredModel, is_mlflow, parse_mlflow
from tfs_deploy.errors import UsageError
from tfs_deploy.savedmodel.versions import version_number
from tfs_deploy.text import did_you_mean

DIRECTORY: Final = "dir"
#: scheme -> what its store calls a bucket
BUCKETS: Final = {"s3": "bucket", "gs": "bucket", "az": "container"}
#: a registry of images: the address names its host, and a repository for the versions of one model
OCI: Final = "oci"
_REMOTE: Final = (*BUCKETS, OCI)
#: other spellings that users bring along
_SAME: Final = {"s3a": "s3", "gcs": "gs", "azure": "az", "abfs": "az", "abfss": "az", "docker": OCI}
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://(.*)", re.DOTALL)
#: a store's scheme before a single slash or none: no directory is meant
_MISTYPED: Final = re.compile(rf"({'|'.join((*BUCKETS, *_SAME))}):(?!//)/?(.*)", re.DOTALL | re.IGNORECASE)
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_REGISTRY: Final = re.compile(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII
)
#: of the distribution specification
_REPOSITORY: Final = re.compile(
    r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII
)
_INT64_MAX: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Address:
    """Where the versions of one model are, and perhaps which of them (``version``).

    ``scheme`` is ``dir`` with ``path`` as directory; ``s3``, ``gs``, ``az`` with the prefix in ``path`` (no slash at
    its ends); ``oci`` with the registry in ``bucket`` and the repository in ``path``; or ``mlflow`` with the name of
    the registered model in ``path``; ``alias``: the place has one version, the one that this alias of MLflow points at.
    """

    scheme: str
    bucket: str
    path: str
    version: int | None = None
    alias: str = ""

    @property
    def is_remote(self) -> bool:
        """Tell whether it is reached over the network."""
        return self.scheme != DIRECTORY

    @property
    def base(self) -> Address:
        """The place without a version."""
        return replace(self, version=None)

    @property
    def name(self) -> str:
        """The last part: by custom the name of the model."""
        return self.path.rstrip("/").rpartition("/")[2] or self.bucket

    def at(self, number: int) -> Address:
        """Return the address of one version."""
        return replace(self, version=number, alias="")

    def __str__(self) -> str:
        if not self.is_remote:
            return self.path
        if self.scheme == MLFLOW:
            return str(RegisteredModel(self.path, self.version, self.alias))
        where = f"{self.scheme}://{self.bucket}" + (f"/{self.path}" if self.path else "")
        return where if self.version is None else f"{where}@{self.version}"


def is_remote(text: str) -> bool:
    """Tell whether a text is meant as an address of a store and not as a directory."""
    return any(pattern.fullmatch(text) for pattern in (_SCHEME, _MISTYPED)) or is_mlflow(text)


def parse_address(text: str) -> Address:
    """Return the address that a text names; ``UsageError`` says what is wrong with it.

    ``@N`` at the end of a remote address is one version, as is the tag ``:N`` at the end of a repository.
    """
    if is_mlflow(text):
        model = parse_mlflow(text)
        return Address(MLFLOW, "", model.name, model.version, model.alias)
    mistyped = _MISTYPED.fullmatch(text)
    if mistyped is not None:
        scheme = _SAME.get(mistyped[1].lower(), mistyped[1].lower())
        hint = f"write {scheme}://..., or ./{mistyped[1]}:... for a directory of that name"
        raise UsageError("the address has no // behind its scheme", hint=hint)
    match = _SCHEME.fullmatch(text)
    if match is None:
        return Address(DIRECTORY, "", text)
    scheme, rest = match[1].lower(), match[2]
    if scheme not in _REMOTE:
        known = ", ".join(f"{name}://" for name in _REMOTE)
        meant = _SAME.get(scheme)
        hint = (
            f"write {meant}://" if meant else did_you_mean(scheme, _REMOTE, otherwise=f"known are {known}, a directory")
        )
        raise UsageError(f"{match[1]}:// is not a kind of place that is known", hint=hint)
    if scheme == OCI:
        return _parse_repository(rest, text)
    holder = BUCKETS[scheme]
    rest, version = _split_version(rest, text)
    bucket, _, path = rest.partition("/")
    if not _BUCKET.fullmatch(bucket):
        # what stands before an @ may be a secret: credentials never come from an address
        hint = f"write {scheme}://{holder.upper()}/PREFIX; credentials come from the environment"
        raise UsageError(f"the address names no valid {holder}", hint=hint)
    path = path.rstrip("/")
    parts = path.split("/") if path else []
    if any(part in ("", ".", "..") for part in parts) or not path.isprintable() or "?" in path or "#" in path:
        hint = f"write {scheme}://{bucket}/PREFIX without empty parts, '..', '?', '#' or control characters"
        raise UsageError(f"{text!r} is not a valid address", hint=hint)
    if parts and version_number(parts[-1]) is not None:
        there = str(Address(scheme, bucket, "/".join(parts[:-1])))
        raise UsageError(
            f"{text} ends in a number, but a place holds all versions of a model",
            hint=f"give {there}, or {there}@{parts[-1]} for that version",
        )
    return Address(scheme, bucket, path, version)


def require_base(address: Address) -> Address:
    """Return an address to publish to; ``UsageError`` for one that names a version, and for one that is only read."""
    if address.scheme == MLFLOW:
        hint = "publish into a base path or a bucket; mlflow.register_model adds a version to a registry"
        raise UsageError(f"{address} is only read, versions are not published to it", hint=hint)
    if address.version is not None:
        hint = f"give {address.base}, and --version {address.version} for the number"
        raise UsageError(f"{address} is one version, not the place of all", hint=hint)
    return address


def _split_version(rest: str, text: str) -> tuple[str, int | None]:
    before, at, number = rest.rpartition("@")
    if not at or "/" in number:
        return rest, None
    if not (number.isascii() and number.isdigit()) or int(number[:20]) > _INT64_MAX:
        if "/" not in before:
            return rest, None
        # an earlier @ may end credentials
        shown = "the address" if "@" in before else repr(text)
        raise UsageError(f"{shown} does not name a valid version after its '@'", hint="write ADDRESS@N, such as @7")
    return before, int(number)


def _parse_repository(rest: str, text: str) -> Address:
    rest, version = _split_version(rest, text)
    registry, _, path = rest.partition("/")
    port = registry.rpartition("]")[2].partition(":")[2]
    if not _REGISTRY.fullmatch(registry) or int(port or "1") not in range(1, 65536):
        hint = f"write {OCI}://REGISTRY[:PORT]/REPOSITORY; credentials come from the configuration of docker login"
        raise UsageError("the address names no valid registry", hint=hint)
    path, colon, tag = path.rstrip("/").partition(":")
    if not _REPOSITORY.fullmatch(path):
        hint = f"write {OCI}://{registry}/REPOSITORY, in lower case, digits, and '.', '_', '-' or '/' between them"
        raise UsageError(f"{text!r} names no valid repository", hint=hint)
    if colon:
        number = version_number(tag)
        if version is not None or number is None or number < 0 or str(number) != tag:
            hint = f"the tag of a version is its number: {OCI}://{registry}/{path}:7; without a tag it is the newest"
            raise UsageError(f"{text!r} does not name a valid version after its ':'", hint=hint)
        version = number
    return Address(OCI, registry, path, version)
