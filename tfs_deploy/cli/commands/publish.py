# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy publish``: put a version that was exported elsewhere into a base path."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.commands.export import parse_version, warnings_on
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.words import directory, one_of, paths
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import CERTIFICATE, RETENTION, TO_BASE, all_of, common, make_signer, sign_option
from tfs_deploy.errors import VerdictError
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.layout import VERDICT
from tfs_deploy.store.copy import publish_version
from tfs_deploy.text import counted, size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.store.signing.keys import Signer


@click.command(
    name="publish",
    cls=Command,
    examples=(
        "tfs-deploy publish new/digits --to models/digits",
        "tfs-deploy publish new/digits --to models/digits --require-verdict verified",
        "tfs-deploy publish new/digits --to models/digits --sign sign.pem",
    ),
)
@click.argument("source", metavar="MODEL_DIR", type=click.Path(path_type=Path), shell_complete=directory)
@TO_BASE
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
@common
def command(
    output: Output,
    source: Path,
    *,
    base_path: str,
    version: str | None,
    verdict: str | None,
    sign: Path | None,
    certificate: Path | None,
    keep: int | None,
    deployments: Sequence[str],
) -> None:
    """Copy a verified version into a base path.

    Use it in a pipeline, after `export` and `verify`; it does not need TensorFlow. MODEL_DIR is a version directory,
    or a base path (its newest version). The copy gets the next number under BASE and appears complete or not at all.

    Exit code 1: the files have changed since the export, or are not the ones that passed --require-verdict.
    """
    started = time.monotonic()
    signer = make_signer(sign, certificate)
    number = parse_version(version)
    with warnings_on(output), output.progress(f"publishing {source}"):
        note, check = _judge(source, verdict, signer, Path(base_path).name)
        published = publish_version(
            source, base_path, version=number, keep=keep, deployments=deployments or None, check=check
        )
    digest = None if published.manifest is None else published.manifest.digest
    document = {
        "path": str(published.path),
        "version": published.version,
        "source": str(source),
        "bytes": published.bytes,
        "digest": digest,
        "same_as": list(published.same_as),
        "verdict": note,
        "signed_by": None if signer is None else signer.by.as_dict(),
        "pruned": list(published.pruned),
        "seconds": round(time.monotonic() - started, 3),
    }
    output.result(document, _render(document))


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


def _render(document: dict[str, Any]) -> str:
    lines = [f"{document['path']}  ({size_text(document['bytes'])}, {document['seconds']:.1f} s)"]
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
    return "\n".join(lines)
