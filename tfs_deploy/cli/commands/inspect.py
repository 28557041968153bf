# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy inspect``: what a SavedModel holds, without TensorFlow."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.remote import ModelPath
from tfs_deploy.cli.line.words import directory
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import common
from tfs_deploy.cli.shared.tree import Tree, printable
from tfs_deploy.errors import UsageError, VerdictError
from tfs_deploy.savedmodel.describe import describe
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.text import counted, did_you_mean, size_text, visible_line

if TYPE_CHECKING:
    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.savedmodel import SavedModelInfo

#: this many kinds of ops are listed, the most frequent first
_OPS_SHOWN = 8
#: this many variables are listed, the biggest first
_VARIABLES_SHOWN = 5


@click.command(
    name="inspect",
    cls=Command,
    examples=(
        "tfs-deploy inspect models/digits",
        "tfs-deploy inspect models/digits/2 --check --no-requests",
    ),
)
@click.argument("path", type=ModelPath(), shell_complete=directory)
@option("--check", is_flag=True, help="Compare every file with its hash in the manifest.")
@option("--model", metavar="NAME", help="Model name in the sample requests.  [default: name of the base path]")
@option("--signature", "-s", metavar="NAME", help="Show this signature only.")
@option("--requests/--no-requests", default=True, help="Show a curl command and a Python request for each signature.")
@common
def command(
    output: Output, path: Path, *, check: bool, model: str | None, signature: str | None, requests: bool
) -> int:
    """Show what a SavedModel holds, without TensorFlow.

    Use it to see signatures, variables, ops, assets and the manifest, and to get sample requests: recorded
    calls where there are some. PATH is a version directory, a base path (its newest version), or a
    version in a store: s3://BUCKET/PREFIX@N, oci://REGISTRY/REPOSITORY:N.

    Exit code 1: with --check, a file has changed since the export.
    """
    info = inspect_model(path)
    document = describe(info, model=model)
    if signature is not None:
        _keep_one(document, signature)
    document |= _claims(info)
    problems = _problems(info) if check else []
    if check:
        document["check"] = {"ok": not problems, "problems": problems}
    output.result(document, render(printable(document), requests=requests), to_read=True)
    if problems and not output.as_json:
        raise VerdictError(
            f"{counted(len(problems), 'file')} of {info.path} changed since the export: {'; '.join(problems)}",
            hint="export or copy the version again; do not serve this one",
        )
    return 1 if problems else 0


def _problems(info: SavedModelInfo) -> list[str]:
    from tfs_deploy.savedmodel.review import check_files  # with numpy, which showing a model does without

    return check_files(info)


def _claims(info: SavedModelInfo) -> dict[str, dict[str, Any] | None]:
    from tfs_deploy.store.signing.claims import claims

    return claims(info.path)


def _keep_one(document: dict[str, Any], signature: str) -> None:
    found = document["signatures"].get(signature)
    if found is None:
        names = list(document["signatures"])
        hint = did_you_mean(signature, names, otherwise=f"it has {', '.join(names) or 'none'}")
        raise UsageError(f"the model has no signature '{signature}'", hint=hint)
    document["signatures"] = {signature: found}


def render(document: dict[str, Any], *, requests: bool = True) -> str:
    """Write the document of ``describe`` as a tree, and the requests below it."""
    tags = " | ".join(", ".join(tags) or "(no tags)" for tags in document["tag_sets"])
    writer = f"TensorFlow {document['tensorflow_version'] or 'of unknown version'}, producer {document['producer']}"
    tree = Tree(f"{document['path']}  ({writer}, tags {tags})")
    signatures = tree.add(f"signatures: {len(document['signatures'])}")
    for name, about in document["signatures"].items():
        signatures.children.append(_signature(name, about))
    _graph(tree, document)
    _variables(tree, document["variables"])
    _files(tree, document)
    text = str(tree)
    return f"{text}\n\n{_requests(document['signatures'])}" if requests and document["signatures"] else text


def _signature(name: str, about: dict[str, Any]) -> Tree:
    tree = Tree(f"{name} ({about['method'] or 'no method'})")
    tensors = [(side, key, spec) for side in ("inputs", "outputs") for key, spec in about[side].items()]
    width = max((len(key) for _, key, _ in tensors), default=0)
    for side, key, spec in tensors:
        more = "  (optional)" if spec.get("optional") else ""
        tree.add(f"{'in ' if side == 'inputs' else 'out'}  {key:{width}}  {_spec(spec)}{more}")
    for feature in about["example_features"]:
        shape = " any length" if feature["shape"] is None else f" {_shape(feature['shape'])}"
        more = "  (required)" if feature["required"] else ""
        tree.add(f"tf.Example feature {feature['name']}  {feature['dtype']}{shape}{more}")
    return tree


def _spec(spec: dict[str, Any]) -> str:
    return f"{spec['dtype']} {'[...]' if spec['shape'] is None else _shape(spec['shape'])}"


def _shape(shape: list[int | None]) -> str:
    return "[" + ", ".join("?" if size is None else str(size) for size in shape) + "]"


def _graph(tree: Tree, document: dict[str, Any]) -> None:
    graph = document["graph"]
    ops = list(graph["ops"].items())
    more = f", {len(ops) - _OPS_SHOWN} more" if len(ops) > _OPS_SHOWN else ""
    listed = ", ".join(f"{name} {count}" for name, count in ops[:_OPS_SHOWN])
    branch = tree.add(
        f"graph: {counted(graph['nodes'], 'node')}, {counted(graph['functions'], 'function')}, "
        f"saved_model.pb {size_text(document['saved_model_bytes'])}",
        [f"{counted(len(ops), 'kind')} of ops: {listed}{more}"],
    )
    if graph["large_constants"]:
        size = size_text(graph["large_constant_bytes"])
        branch.add(f"{counted(graph['large_constants'], 'large constant')} inside the graph, {size}")
    if graph["custom_ops"]:
        branch.add(f"not in the stock server: {', '.join(graph['custom_ops'])}")


def _variables(tree: Tree, variables: dict[str, Any]) -> None:
    biggest = sorted(variables["tensors"], key=lambda tensor: -tensor["bytes"])
    lines = [f"{v['name']}  {_spec(v)}  {size_text(v['bytes'])}" for v in biggest[:_VARIABLES_SHOWN]]
    if len(biggest) > _VARIABLES_SHOWN:
        lines.append(f"{len(biggest) - _VARIABLES_SHOWN} more")
    tree.add(f"variables: {variables['count']}, {size_text(variables['bytes'])}", lines)


def _files(tree: Tree, document: dict[str, Any]) -> None:
    assets = document["assets"]
    tree.add(
        f"assets: {len(assets) or 'none'}",
        [f"{a['name']}  {'MISSING' if a['bytes'] is None else size_text(a['bytes'])}" for a in assets],
    )
    warmup = document["warmup"]
    tree.add(f"warmup: {'none' if warmup is None else counted(warmup['records'], 'record')}")
    tree.add(f"goldens: {'recorded' if document['goldens'] else 'none'}")
    manifest = document["manifest"]
    if manifest is None:
        tree.add("manifest: none")
    else:
        about = [f"{key.replace('_', ' ')}: {manifest[key]}" for key in _MANIFEST_SHOWN if manifest[key]]
        about += [f"{key}: {value}" for key, value in manifest["metadata"].items()]
        tree.add(f"manifest: {counted(len(manifest['files']), 'file')}, {manifest['created_at']}", about)
    for what, key in (("files", "signed_by"), ("verdict", "verdict_signed_by")):
        claim = document.get(key)
        if claim is not None:
            tree.add(f"{what}: {claim['problem'] or 'signed by ' + claim['name'] + ', which --trust of verify checks'}")
    if "check" in document:
        check = document["check"]
        tree.add("check: all files are as exported" if check["ok"] else "check: FAILED", check["problems"])


_MANIFEST_SHOWN = ("digest", "git_commit", "tensorflow_version", "keras_version", "tfs_deploy_version")


def _requests(signatures: dict[str, Any]) -> str:
    blocks = []
    for name, about in signatures.items():
        requests = about["requests"]
        # a comment in what is pasted: a name must not end it
        lines = [visible_line(f"# {name}" + (f": {requests['note']}" if requests["note"] else ""))]
        lines += [f"{text}\n" for text in (requests["curl"],) if text]
        # at the start of the line, so that it can be pasted
        lines += [text for text in (requests["python"],) if text]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
