# SPDX-License-Identifier: Apache-2.0
"""A SavedModel as source: copied, copied with other signatures, or loaded and traced again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.export.signatures.wrapped_signature import WrappedSignature
from tfs_deploy.export.sources.model_copy import CopiedSource, EditedSource
from tfs_deploy.export.sources.retrace import RetracedSource
from tfs_deploy.export.sources.signature_defs import edit_signature_defs
from tfs_deploy.export.tensorflow.silence import load_tensorflow
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.graph.scan import graph_file, read_text
from tfs_deploy.savedmodel.inspect import resolve_version
from tfs_deploy.savedmodel.review import NO_MANIFEST, Accepts, review_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.export.signatures.signature import Signature
    from tfs_deploy.export.sources.source import Source

_TABLE_OPS: Final = frozenset({"HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2"})


def open_saved_model(source: str | Path, signatures: Mapping[str, Signature] | None, tags: Sequence[str]) -> Source:
    """Open a SavedModel directory, or the latest version of a base path; raises ``ModelError`` if it is damaged."""
    folder = resolve_version(source)
    _check_manifest(folder)
    model = _read(folder)
    graph = _meta_graph(folder, model, tags)
    if signatures is None and not tags:
        return EditedSource(folder, tags, model, graph, dict(graph.signature_def))
    if signatures is None:
        return CopiedSource(folder, tags, graph.signature_def)
    renames = all(not isinstance(one, WrappedSignature) and not callable(one.function) for one in signatures.values())
    if renames and not graph.HasField("object_graph_def"):
        definitions = edit_signature_defs(graph, signatures)
        return EditedSource(folder, tags, model, graph, definitions)
    of_tensorflow_1 = not graph.HasField("object_graph_def")
    if of_tensorflow_1:
        _refuse_nameless_tables(folder, graph)
    load_tensorflow()
    return RetracedSource(folder, tags, signatures, graph, old=of_tensorflow_1)


def _read(folder: Path) -> Any:
    from google.protobuf.message import DecodeError

    file = graph_file(folder)
    try:
        model = (
            read_text(file) if file.name == layout.SAVED_MODEL_TEXT else protos.SavedModel.FromString(file.read_bytes())
        )
    except FileNotFoundError:
        raise ModelError(f"{file} does not exist", hint="give a directory that holds saved_model.pb") from None
    except DecodeError as error:
        raise ModelError(f"{file} is damaged or not a SavedModel: {error}", hint="export the model again") from error
    if not model.meta_graphs:
        raise ModelError(f"{file} holds no meta graph", hint="export the model again")
    return model


def _meta_graph(folder: Path, model: Any, tags: Sequence[str]) -> Any:
    """Return the meta graph whose tags are exactly these, as the server's loader matches them (loader_util.cc)."""
    for graph in model.meta_graphs:
        if set(graph.meta_info_def.tags) == set(tags):
            return graph
    there = [",".join(sorted(graph.meta_info_def.tags)) for graph in model.meta_graphs]
    problem = f"{folder} has no meta graph {'tagged ' + ','.join(tags) if tags else 'without tags'}"
    if not any(there):
        raise UsageError(problem, hint="it has one without tags: --tags '', or tags=(), exports that tagged serve")
    known = "; ".join(text or "(no tags)" for text in there)
    raise UsageError(
        problem, hint=f"tag sets there: {known}; pass one as tags, and to the server as --saved_model_tags"
    )


def _refuse_nameless_tables(folder: Path, graph: Any) -> None:
    """Refuse tables without a shared name: in a graph that is traced again, nothing could find and fill them."""
    nameless = sorted(
        node.name for node in graph.graph_def.node if node.op in _TABLE_OPS and not node.attr["shared_name"].s
    )
    if nameless:
        raise UsageError(
            f"{folder} was written by TensorFlow 1 and has a lookup table without a shared name ({nameless[0]}), so "
            "nothing can be built around it",
            hint="its own signatures can be renamed or left out: Signature('NAME', inputs={'new': 'existing'})",
        )


def _check_manifest(folder: Path) -> None:
    refused = Accepts(frozenset({NO_MANIFEST})).refused(review_manifest(folder))
    if refused:
        raise ModelError(
            f"{folder} has changed since the export: {refused[0]}",
            hint=f"`tfs-deploy inspect --check {folder}` lists all",
        )
