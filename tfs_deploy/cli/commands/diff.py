# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy diff``: the contracts of two versions side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line import deployed
from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.remote import ModelPath
from tfs_deploy.cli.line.words import directory
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import common
from tfs_deploy.cli.shared.output import styled
from tfs_deploy.cli.shared.tree import Tree, printable
from tfs_deploy.errors import UsageError, VerdictError
from tfs_deploy.savedmodel.contract import Compatibility, describe_diff, diff_models
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.versions import find_version, named_folder, version_number
from tfs_deploy.text import counted, size_text

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.savedmodel import SavedModelInfo

_COLORS = {
    Compatibility.COMPATIBLE.value: "green",
    Compatibility.ADDITION.value: "cyan",
    Compatibility.BREAKING.value: "red",
}


@click.command(
    name="diff",
    cls=Command,
    examples=(
        "tfs-deploy diff models/digits/1 models/digits/2",
        "tfs-deploy diff models/digits --baseline 1",
        "tfs-deploy diff models/digits/1 models/digits/2 --json",
    ),
)
@click.argument("old", type=ModelPath(), shell_complete=directory)
@click.argument("new", required=False, type=ModelPath(), shell_complete=directory)
@option(
    "--baseline",
    metavar="VERSION|DIR",
    shell_complete=deployed.version_beside,
    help="Old version, instead of OLD: a number beside NEW, or a path.",
)
@common
def command(output: Output, old: Path, *, new: Path | None, baseline: str | None) -> int:
    """Compare two versions as clients see them.

    Use it before one version replaces another: it compares signatures, sizes and ops. OLD and NEW are version
    directories, base paths (their newest versions), or versions in a store: s3://BUCKET/PREFIX@N,
    oci://REGISTRY/REPOSITORY:N.

    Exit code 1: NEW breaks clients of OLD.
    """
    diff = diff_models(*_versions(old, new, baseline))
    document = describe_diff(diff)
    output.result(document, render(printable(document)), to_read=True)
    if diff.breaking and output.quiet and not output.as_json:
        first = diff.breaking[0]
        raise VerdictError(
            f"{diff.new.path} breaks clients of {diff.old.path}: {first.where}: {first.message}",
            hint="serve it under another model name, or keep what clients use",
        )
    return 1 if diff.breaking else 0


def _versions(first: Path, second: Path | None, baseline: str | None) -> tuple[SavedModelInfo, SavedModelInfo]:
    """Return the old and the new version; with ``--baseline`` the only path is the new one."""
    if baseline is None:
        if second is None:
            raise click.MissingParameter(param_hint="'NEW'", param_type="argument")
        return inspect_model(first), inspect_model(second)
    if second is not None:
        raise UsageError("--baseline takes the place of OLD", hint=f"tfs-deploy diff {second} --baseline {baseline}")
    new = inspect_model(first)
    return inspect_model(_baseline(baseline, new)), new


def _baseline(text: str, new: SavedModelInfo) -> Path:
    """Return the directory that ``--baseline`` names, as ``verify`` reads it."""
    number = version_number(text)
    if number is None:
        return Path(text)
    if new.version is None:
        raise UsageError(f"baseline {number} needs a numbered version directory", hint="give its path")
    return find_version(named_folder(new.path).parent, number).path


def render(document: dict[str, Any]) -> str:
    """Write the document of ``describe_diff`` as a tree."""
    verdict = document["verdict"]
    tree = Tree(f"{document['old']} -> {document['new']}: {styled(verdict, fg=_COLORS[verdict], bold=True)}")
    by_signature: dict[str, list[dict[str, Any]]] = {}
    for change in document["changes"]:
        by_signature.setdefault(change["signature"], []).append(change)
    for signature, changes in by_signature.items():
        tree.add(f"signature '{signature}'" if signature else "meta graphs", map(_line, changes))
    if document["unchanged"]:
        tree.add(f"unchanged: {', '.join(document['unchanged'])}")
    tree.add(
        f"variables: {_change(document['variables'])}, {_bytes(document['variable_bytes'])}; "
        f"saved_model.pb {_bytes(document['saved_model_bytes'])}"
    )
    tree.add(f"TensorFlow {_change(document['tensorflow_version'])}")
    tree.add(f"ops: {_ops(document['ops'])}")
    if document["new_custom_ops"]:
        tree.add(f"new and not in the stock server: {', '.join(document['new_custom_ops'])}")
    return str(tree)


def _line(change: dict[str, Any]) -> str:
    kind = styled(change["compatibility"], fg=_COLORS[change["compatibility"]])
    return f"{kind}: {change['tensor'] + ': ' if change['tensor'] else ''}{change['message']}"


def _change(values: dict[str, Any]) -> str:
    return str(values["old"]) if values["old"] == values["new"] else f"{values['old']} -> {values['new']}"


def _bytes(values: dict[str, int]) -> str:
    if values["old"] == values["new"]:
        return size_text(values["old"])
    percent = f" ({100 * (values['new'] - values['old']) / values['old']:+.0f} %)" if values["old"] else ""
    return f"{size_text(values['old'])} -> {size_text(values['new'])}{percent}"


def _ops(ops: dict[str, int]) -> str:
    if not ops:
        return "the same"
    most = sorted(ops.items(), key=lambda item: (-abs(item[1]), item[0]))
    more = f", {counted(len(most) - 12, 'more kind')}" if len(most) > 12 else ""
    return ", ".join(f"{name} {count:+d}" for name, count in most[:12]) + more
