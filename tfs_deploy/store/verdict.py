# SPDX-License-Identifier: Apache-2.0
"""``verdict.json``: the result of a verification, bound to the verified files; writing, reading, requiring it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.atomic import write_files
from tfs_deploy.errors import EnvironmentFault, UsageError, VerdictError, file_hint
from tfs_deploy.host.regular_file import read_regular
from tfs_deploy.savedmodel.formats.checked_json import require_unchanged, with_checksum
from tfs_deploy.savedmodel.review import NO_MANIFEST, Accepts, review_manifest
from tfs_deploy.store.identity import identify
from tfs_deploy.text import counted, parse_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.store.identity import Identity

FILE_NAME: Final = "verdict.json"
KIND: Final = "tfs-deploy verdict"
#: groups of checks that a verdict must include
ESSENTIAL: Final = ("files", "load", "smoke")
#: raised when the document changes in a way that older readers would misread
SCHEMA_VERSION: Final = 1
#: without a manifest the identity is that of the files themselves
_ACCEPTS: Final = Accepts(frozenset({NO_MANIFEST}))


def write_verdict(document: Mapping[str, Any], folder: Path) -> Path:
    """Write the verdict to a folder, atomically, and return its path."""
    (path,) = write_files(folder, {FILE_NAME: json.dumps(with_checksum(document), indent=2) + "\n"})
    return path


def read_verdict(path: str | Path) -> dict[str, Any]:
    """Return a verdict file, or the one in a folder, as read.

    Raises:
        UsageError: it does not exist, does not have this schema, was changed after it was written, or contradicts
            itself. A checksum shows damage, not forgery: whoever may write the file can compute another.
        EnvironmentFault: the system does not let us read it.
    """
    file = Path(path)
    file = file / FILE_NAME if file.is_dir() else file
    try:
        document = parse_document(read_regular(file))
    except OSError as error:
        kind = UsageError if isinstance(error, FileNotFoundError) else EnvironmentFault
        hint = "write one: tfs-deploy verify MODEL_DIR --report DIR"
        raise kind(
            f"verdict {file} cannot be read: {error.strerror}", hint=hint if kind is UsageError else file_hint(error)
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{file} is not a valid verdict: {error}", hint="tfs-deploy verify MODEL_DIR --report DIR"
        ) from error
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise UsageError(f"{file} is not a verdict", hint="tfs-deploy verify MODEL_DIR --report DIR writes one")
    if document.get("schema_version") != SCHEMA_VERSION:
        raise UsageError(
            f"{file} has the schema version {document.get('schema_version')!r}, "
            f"but this release reads only {SCHEMA_VERSION}",
            hint="verify the version again with this release",
        )
    problem = _problem(document)
    if problem:
        raise UsageError(
            f"{file} is not a valid verdict: {problem}", hint="verify again: tfs-deploy verify MODEL_DIR --report DIR"
        )
    return document


def _problem(document: dict[str, Any]) -> str | None:
    """Return why a verdict cannot be what ``verify`` wrote, ``None`` if it can."""
    try:
        require_unchanged(document)
    except ValueError as error:
        return str(error)
    for key in ("models", "checks"):
        entries = document.get(key)
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            return f"{key} is not a list of objects"
    if not isinstance(document.get("first_failed") or {}, dict):
        return "first_failed is not an object"
    left_out = document.get("left_out")
    if not isinstance(left_out, list) or not all(isinstance(group, str) for group in left_out):
        return "left_out is not a list of names"
    if not isinstance(document.get("ok"), bool):
        return "ok is neither true nor false"
    failed = [check.get("id") for check in document["checks"] if check.get("status") == "failed"]
    refused = [f"{model.get('name')} {model.get('version')}" for model in document["models"] if not model.get("ok")]
    if document["ok"] and (failed or refused):
        return f"it says yes, and that {(failed or refused)[0]} failed"
    return None


def require_verdict(path: str | Path, version_dir: Path) -> str:
    """Return a note if a verdict accepts exactly these files.

    Raises:
        VerdictError: it refuses them, is about other files, or left out an essential group; or the files are not
            what their manifest says.
        UsageError: the verdict does not exist.
    """
    identity = identify(version_dir)
    note = require_yes(path, version_dir, identity)
    refused = _ACCEPTS.refused(review_manifest(version_dir))
    if refused:
        raise VerdictError(f"{version_dir} has changed since it was verified: {refused[0]}", hint=_hint(version_dir))
    return note


def require_yes(path: str | Path, version_dir: Path, identity: Identity) -> str:
    """Return a note if a verdict accepts this identity of a version, whether or not its files still match it."""
    document = read_verdict(path)
    entries = document["models"]
    entry = next((entry for entry in entries if entry.get("digest") == identity.digest), None)
    if entry is None:
        judged = ", ".join(f"{each.get('name')} {each.get('version')}" for each in entries) or "nothing"
        raise VerdictError(
            f"the verdict {path} is about other files ({judged}) than {version_dir} ({identity})",
            hint=_hint(version_dir),
        )
    missing = [group for group in ESSENTIAL if group in document["left_out"]]
    if missing:
        raise VerdictError(f"the verdict {path} left out the group '{missing[0]}'", hint=_hint(version_dir))
    if document.get("ok") is not True or entry.get("ok") is not True:
        first = document.get("first_failed") or {}
        reason = f": {first.get('id')}: {first.get('reason')}" if first else ""
        raise VerdictError(f"the verdict {path} says no{reason}", hint=_hint(version_dir))
    return f"verified at {document.get('created_at')}: {counted(len(document['checks']), 'check')}, none failed"


def _hint(version_dir: Path) -> str:
    return f"tfs-deploy verify {version_dir} --report DIR"
