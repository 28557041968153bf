"""``tfs-deploy publish``: put a version that was exported elsewhere into a base path."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.commands.export import parse_version, warnings_on
from tfs_deploy.cli.shared.options import common
from tfs_deploy.errors import VerdictError
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.store.copy import publish_version
from tfs_deploy.text import counted, size_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tfs_deploy.cli.shared.output import Output


@click.command()
@click.argument("source", metavar="MODEL_DIR", type=click.Path(path_type=Path))
@click.option("--to", "base_path", required=True, metavar="BASE", help="Directory of the numbered versions.")
@click.option("--version", metavar="N|timestamp", help="The version's number.  [default: the next one]")
@click.option("--require-verdict", "verdict", metavar="FILE", help="verdict.json of `verify` that has to say yes.")
@click.option("--keep", type=click.IntRange(min=1), help="Remove older versions so that this many stay.")
@click.option(
    "--deployment",
    "deployments",
    multiple=True,
    metavar="FILE",
    help="Versions that this deployment file names are not removed.  [default: all files found nearby]",
)
@common
def command(
    output: Output,
    source: Path,
    *,
    base_path: str,
    version: str | None,
    verdict: str | None,
    keep: int | None,
    deployments: Sequence[str],
) -> None:
    r"""Copy the version in MODEL_DIR to the next number under BASE, complete or not at all.

    MODEL_DIR is a version directory, or a base path (its newest version). Its manifest has to match its files; with
    --require-verdict it is published only if `verify` said yes to exactly these files. It stays where it is, and needs
    no TensorFlow.

    \b
    tfs-deploy export train:model --to staged/digits
    tfs-deploy verify staged/digits --report verified
    tfs-deploy publish staged/digits --to models/digits --require-verdict verified/verdict.json --keep 5
    """
    started = time.monotonic()
    number = parse_version(version)
    with warnings_on(output), output.progress(f"publishing {source}"):
        note, check = _judge(source, verdict)
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
        "verdict": note,
        "pruned": list(published.pruned),
        "seconds": round(time.monotonic() - started, 3),
    }
    output.result(document, _render(document))


def _judge(source: Path, verdict: str | None) -> tuple[str | None, Callable[[Path], None] | None]:
    """Ask for the verdict; return its note, and what makes sure that the copy is what it is about."""
    if verdict is None:
        return None, None
    from tfs_deploy.store.identity import identify
    from tfs_deploy.store.verdict import require_yes

    folder = inspect_model(source).path
    judged = identify(folder)
    note = require_yes(verdict, folder, judged)

    def check(copy: Path) -> None:
        if identify(copy) != judged:
            raise VerdictError(f"{folder} changed while it was copied", hint="verify it again")

    return note, check


def _render(document: dict[str, Any]) -> str:
    lines = [f"{document['path']}  ({size_text(document['bytes'])}, {document['seconds']:.1f} s)"]
    if document["verdict"]:
        lines.append(f"  {document['verdict']}")
    elif document["digest"] is None:
        lines.append("  it has no manifest, so nothing says whether its files are as they were exported")
    if document["pruned"]:
        removed = ", ".join(map(str, document["pruned"]))
        lines.append(f"removed {counted(len(document['pruned']), 'old version')}: {removed}")
    return "\n".join(lines)
