# SPDX-License-Identifier: Apache-2.0
"""Whether a version may be served: signed, with its verdict, by a key that is trusted, and not revoked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import ModelError, UsageError, VerdictError, file_hint
from tfs_deploy.extras import require_extra
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.manifest import read_manifest
from tfs_deploy.store.identity import MANIFEST, Identity, identify, identity_of_files
from tfs_deploy.store.signing.bundle import read_bundle, read_statement
from tfs_deploy.store.signing.hashes import hash_files
from tfs_deploy.store.verdict import FILE_NAME, require_yes

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from tfs_deploy.store.signing.bundle import Statement
    from tfs_deploy.store.signing.keys import SignedBy, Trust

#: paths that ``model-signing`` leaves out unless told otherwise; a server reads none of them
_GIT: Final = (".git", ".gitignore", ".github", ".gitattributes")
_SIGN: Final = "sign it: tfs-deploy publish MODEL_DIR --to BASE --sign KEY --require-verdict DIR"
_VERIFY: Final = "verify it again: tfs-deploy verify MODEL_DIR --report DIR --sign KEY"


@dataclass(frozen=True, slots=True)
class Signatures:
    """Who signed a version: its files, and its verdict."""

    files: SignedBy
    verdict: SignedBy


def require_trusted(
    version_dir: str | os.PathLike[str],
    trust: Sequence[str | os.PathLike[str]],
    revoked: Collection[str] = (),
) -> Signatures | None:
    """Return who signed a version and its verdict, ``None`` if there is nothing to require.

    Every file is read once.

    Args:
        version_dir: the version.
        trust: PEM files; none: signatures are not looked at.
        revoked: digests of versions (hex), as ``tfs-deploy inspect`` shows them.

    Raises:
        VerdictError: it is revoked, or not signed by a trusted key, or differs from what was signed; the sentence names
            the first thing that differs.
        UsageError: a trusted key cannot be used.
        MissingExtraError: ``cryptography`` is not installed.
    """
    folder = Path(version_dir)
    if not trust:
        if revoked:
            _refuse_revoked(folder, _identity(folder), revoked)
        return None
    keys = open_trust(trust)
    sums = hash_files(folder, left_out=(layout.SIGNATURE, layout.VERDICT_SIGNATURE))
    verdict = sums.pop(layout.VERDICT, None)
    by = _require_files(folder, sums, keys)
    identity = _identity(folder, sums)
    _refuse_revoked(folder, identity, revoked)
    return Signatures(by, _require_verdict(folder, verdict, identity, keys))


def open_trust(trust: Iterable[str | os.PathLike[str]]) -> Trust:
    """Read the trusted keys; raises what ``keys.load_trusted`` raises, and ``MissingExtraError``."""
    require_extra("cryptography", "signing")
    from tfs_deploy.store.signing.keys import load_trust

    return load_trust(Path(each) for each in trust)


def require_signed(version_dir: Path, trust: Sequence[str | os.PathLike[str]]) -> SignedBy:
    """Return who signed the files of a version, whatever its verdict; raises what ``require_trusted`` raises."""
    keys = open_trust(trust)
    return _require_files(version_dir, hash_files(version_dir, left_out=layout.ATTESTATIONS), keys)


def compare(statement: Statement, sums: Mapping[str, str]) -> str | None:
    """Return the first thing in which files differ from what was signed, ``None`` if nothing does.

    A signature may leave out only what a server does not read: attestations, and what git keeps.
    """
    for name in sorted({*statement.sums, *sums}):
        if name not in sums:
            return f"{name} is missing, which was signed"
        if name in statement.sums:
            if statement.sums[name] != sums[name]:
                return f"{name} has changed since it was signed"
        elif name.split("/")[0] not in _GIT or name.split("/")[0] not in statement.ignored:
            return f"{name} is not signed"
    return None


def _require_files(folder: Path, sums: Mapping[str, str], keys: Trust) -> SignedBy:
    by, statement = _read_signature(folder, layout.SIGNATURE, keys)
    difference = compare(statement, sums)
    if difference:
        raise _untrusted(folder, difference, "publish the version again from where it was signed")
    return by


def _require_verdict(folder: Path, digest: str | None, identity: Identity, keys: Trust) -> SignedBy:
    if digest is None:
        raise _untrusted(folder, f"{layout.VERDICT} is missing", _SIGN)
    by, statement = _read_signature(folder, layout.VERDICT_SIGNATURE, keys)
    if statement.sums.keys() != {FILE_NAME}:
        raise _untrusted(folder, f"{layout.VERDICT_SIGNATURE} is not about a verdict", _VERIFY)
    if statement.sums[FILE_NAME] != digest:
        raise _untrusted(folder, f"{layout.VERDICT} has changed since it was signed", _VERIFY)
    try:
        require_yes(folder / layout.VERDICT, folder, identity)
    except UsageError as error:
        raise _untrusted(folder, error.message, _VERIFY) from error
    return by


def _read_signature(folder: Path, name: str, keys: Trust) -> tuple[SignedBy, Statement]:
    """Return who made the signature in a file of a version, and what was signed."""
    try:
        bundle = read_bundle(read_regular(folder / name))
    except FileNotFoundError as error:
        raise _untrusted(folder, f"{name} is missing", _SIGN) from error
    except OSError as error:
        raise _untrusted(folder, f"{name} cannot be read: {error.strerror}", file_hint(error)) from error
    except ValueError as error:
        raise _untrusted(folder, f"{name} is not a valid signature: {error}", _SIGN) from error
    try:
        by = keys.require(bundle)
    except ValueError as error:
        raise _untrusted(folder, f"{name}: {error}", "sign it with a trusted key, or trust that key too") from error
    try:
        return by, read_statement(bundle.payload)
    except ValueError as error:
        raise _untrusted(folder, f"{name} is not a valid signature: {error}", _SIGN) from error


def _identity(folder: Path, sums: Mapping[str, str] | None = None) -> Identity:
    """Return the identity of a version, by the sums of its files if they are known: they are not read again.

    The manifest has to say the same of them: a verdict is about the files that the manifest says.
    """
    if sums is None:
        return identify(folder)
    try:
        manifest = read_manifest(folder)
    except ModelError as error:
        raise _untrusted(folder, error.message, error.hint) from error
    if manifest is None:
        return identity_of_files(sums)
    listed = {name: entry.sha256 for name, entry in manifest.files.items()}
    for name in sorted({*listed, *sums} - {layout.MANIFEST}):
        if listed.get(name) != sums.get(name):
            raise _untrusted(folder, f"{name} is not what {layout.MANIFEST} says", "export the version again")
    return Identity(manifest.digest, MANIFEST)


def _refuse_revoked(folder: Path, identity: Identity, revoked: Collection[str]) -> None:
    if identity.digest in revoked:
        raise _untrusted(folder, f"its digest {identity.digest[:16]} is revoked", "serve another version")


def _untrusted(folder: Path, reason: str, hint: str | None) -> VerdictError:
    return VerdictError(f"{folder} is not trusted: {reason}", hint=hint)
