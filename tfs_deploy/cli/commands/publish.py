# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy publish``: put a version that was exported elsewhere into a base path or a store."""

from __future__ import annotations

import contextlib
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line.duration import Duration
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.remote import moved
from tfs_deploy.cli.line.words import directory, one_of, paths
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import (
    CERTIFICATE,
    RETENTION,
    TO_PLACE,
    all_of,
    common,
    make_signer,
    parse_version,
    sign_option,
)
from tfs_deploy.cli.shared.output import warnings_on
from tfs_deploy.deployment.address import OCI, parse_address, require_base
from tfs_deploy.errors import UsageError, VerdictError
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.layout import VERDICT
from tfs_deploy.store.copy import publish_version
from tfs_deploy.store.identity import MANIFEST
from tfs_deploy.text import counted, size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.deployment.address import Address
    from tfs_deploy.store.places.place import Report
    from tfs_deploy.store.signing.keys import Signer


@click.command(
    name="publish",
    cls=Command,
    examples=(
        "tfs-deploy publish new/digits --to models/digits",
        "tfs-deploy publish new/digits --to models/digits --require-verdict verified",
        "tfs-deploy publish new/digits --to s3://models/digits --keep 5",
        "tfs-deploy publish --to s3://models/digits --clean",
        "tfs-deploy publish new/digits --to oci://registry.example.com/models/digits",
        "tfs-deploy publish new/digits --to models/digits --sign sign.pem",
    ),
)
@click.argument(
    "source", metavar="[MODEL_DIR]", required=False, type=click.Path(path_type=Path), shell_complete=directory
)
@TO_PLACE
@option(
    "--version",
    metavar="N|timestamp",
    shell_complete=one_of("timestamp"),
    help="Version number.  [default: the next one]",
)
@option(
    "--require-verdict",
    "verdict",
    metavar="FILE",
    shell_complete=paths(".json"),
    help="Only publish what this verdict passed, and put it into the version: verdict.json of `verify`, or its "
    "directory.",
)
@sign_option("the version, and a verdict that is not signed yet,")
@CERTIFICATE
@all_of(RETENTION)
@option("--clean", is_flag=True, help="Remove what publishers left that did not come to their end.")
@option(
    "--older-than",
    type=Duration(),
    default="24h",
    show_default=True,
    metavar="TIME",
    shell_complete=one_of("1h", "24h", "7d"),
    help="With --clean, in a store: how long nothing was written to it.",
)
@common
def command(
    output: Output,
    source: Path | None,
    *,
    base_path: str,
    version: str | None,
    verdict: str | None,
    sign: Path | None,
    certificate: Path | None,
    keep: int | None,
    deployments: Sequence[str],
    clean: bool,
    older_than: float,
) -> None:
    """Copy a verified version into a base path or a store.

    Use it in a pipeline, after `export` and `verify`; it does not need TensorFlow. MODEL_DIR is a version directory,
    or a base path (its newest version). The copy gets the next number and appears complete or not at all. In a store,
    an upload that was cut off is resumed by the same command; credentials come from the environment, for a registry
    from docker login.

    Exit code 1: the files have changed since the export, or are not the ones that passed --require-verdict.
    """
    started = time.monotonic()
    signer = make_signer(sign, certificate)
    number = parse_version(version)
    address = require_base(parse_address(base_path))
    if source is None and not clean:
        raise UsageError("MODEL_DIR is missing", hint=f"tfs-deploy publish MODEL_DIR --to {address}")
    document: dict[str, Any] = {}
    if source is not None:
        with warnings_on(output), output.progress(f"publishing {source}") as progress:
            note, check = _judge(source, verdict, signer, address.name)
            if address.is_remote:
                report = moved(progress, f"publishing {source}")
                with _attested(source, check) as folder:
                    document = _into_store(folder, address, number, keep, deployments or None, report)
            else:
                document = _into_directory(source, base_path, number, keep, deployments or None, check)
        signed_by = None if signer is None else signer.by.as_dict()
        document |= {"source": str(source), "verdict": note, "signed_by": signed_by}
    if clean:
        from tfs_deploy.store.places.opened import open_place

        document["cleaned"] = open_place(address).clean(older_than)
    document["seconds"] = round(time.monotonic() - started, 3)
    output.result(document, _render(document, address))


@contextlib.contextmanager
def _attested(source: Path, check: Callable[[Path], None] | None) -> Iterator[Path]:
    """Yield a version as it is to be uploaded: a copy with its attestations, if it gets any."""
    if check is None:
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="tfs-deploy-publish-") as folder:
        yield publish_version(source, folder, version=1, check=check).path


def _into_directory(
    source: Path,
    base_path: str,
    version: int | str | None,
    keep: int | None,
    deployments: Sequence[str] | None,
    check: Callable[[Path], None] | None,
) -> dict[str, Any]:
    published = publish_version(source, base_path, version=version, keep=keep, deployments=deployments, check=check)
    return {
        "path": str(published.path),
        "version": published.version,
        "bytes": published.bytes,
        "digest": None if published.manifest is None else published.manifest.digest,
        "same_as": list(published.same_as),
        "pruned": list(published.pruned),
    }


def _into_store(
    source: Path,
    address: Address,
    version: int | str | None,
    keep: int | None,
    deployments: Sequence[str] | None,
    report: Report,
) -> dict[str, Any]:
    from tfs_deploy.store.places.opened import open_place
    from tfs_deploy.store.retention import named_in_store, prune_place

    if deployments is not None:
        named_in_store(address, deployments, [])  # report mistakes in a deployment file before any work is done
    place = open_place(address)
    published = place.publish(source, version, report=report)
    publication = published.publication
    pruned = [] if keep is None else prune_place(place, keep, deployments, publication.number)
    return {
        "path": str(address.at(publication.number)),
        "version": publication.number,
        "bytes": publication.total_bytes,
        "digest": publication.digest if publication.digest_of == MANIFEST else None,
        "same_as": list(published.same_as),
        "pruned": pruned,
        "sent_bytes": published.sent_bytes,
        "retries": place.retries,
    }


def _judge(
    source: Path, verdict: str | None, signer: Signer | None, name: str
) -> tuple[str | None, Callable[[Path], None] | None]:
    """Return the note of the verdict, and what sees to it that the copy is what it is about, and attests that."""
    from tfs_deploy.store.identity import identify
    from tfs_deploy.store.signing.sign import sign_version, take_verdict
    from tfs_deploy.store.verdict import require_yes

    if verdict is None and signer is None:
        return None, None
    folder = inspect_model(source).path
    judged = identify(folder)
    note = None if verdict is None else require_yes(verdict, folder, judged)

    def check(copy: Path) -> None:
        if identify(copy) != judged:
            raise VerdictError(f"{folder} changed while it was copied", hint="verify it again")
        if verdict is not None:
            take_verdict(verdict, copy, signer)
            require_yes(copy / VERDICT, folder, judged)  # it may have been replaced since
        if signer is not None:
            sign_version(copy, signer, name)

    return note, check


def _render(document: dict[str, Any], address: Address) -> str:
    cleaned = [f"removed {name}, which was abandoned" for name in document.get("cleaned", ())]
    if "cleaned" in document and address.scheme == OCI:
        cleaned = ["nothing to clean: a registry collects what no version names by itself"]
    if "path" not in document:
        return "\n".join(cleaned) or "nothing to clean"
    lines = [f"{document['path']}  ({size_text(document['bytes'])}, {document['seconds']:.1f} s)"]
    if document.get("sent_bytes", document["bytes"]) < document["bytes"]:
        lines.append(f"  {size_text(document['sent_bytes'])} sent, the rest was there")
    if document.get("retries"):
        lines.append(f"  {counted(document['retries'], 'request')} tried again")
    if document["verdict"]:
        lines.append(f"  {document['verdict']}")
    elif document["digest"] is None:
        lines.append("  without a manifest: the files could not be compared with those exported")
    if document["signed_by"]:
        more = "" if document["verdict"] else ", without a verdict: `trust` in a deployment file asks for one"
        lines.append(f"  signed by {document['signed_by']['name']}{more}")
    if document["same_as"]:
        lines.append(f"  the same files as version {', '.join(map(str, document['same_as']))}")
    if document["pruned"]:
        removed = ", ".join(map(str, document["pruned"]))
        lines.append(f"removed {counted(len(document['pruned']), 'old version')}: {removed}")
    return "\n".join([*lines, *cleaned])
