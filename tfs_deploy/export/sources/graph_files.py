# SPDX-License-Identifier: Apache-2.0
"""TensorFlow 1 graphs in files: checkpoints with a ``.meta`` graph, and frozen GraphDefs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import ModelError
from tfs_deploy.export.signatures.bound_signature import first_line
from tfs_deploy.export.sources.graph_source import OwnedGraphSource
from tfs_deploy.export.tensorflow.graph_import import import_graph

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.export.signatures.signature import Signature


def checkpoint_prefix(path: Path) -> str | None:
    """Return the prefix of a checkpoint: of ``PREFIX.meta``, ``PREFIX`` itself, or the latest in a directory.

    ``saver.save(session, "DIRECTORY/")`` writes ``DIRECTORY/.meta``: the prefix then ends in a slash.
    """
    if path.is_dir():
        return _latest(path)
    for suffix in (".meta", ".index"):
        if path.name.endswith(suffix) and path.is_file():
            return _beside(path, suffix)
    return str(path) if Path(f"{path}.index").is_file() or Path(f"{path}.meta").is_file() else None


def _beside(file: Path, suffix: str) -> str:
    return os.path.join(file.parent, file.name.removesuffix(suffix))  # noqa: PTH118  (keeps the slash at the end)


def _latest(folder: Path) -> str | None:
    """Return the checkpoint that the file ``checkpoint`` names, else the only one with a graph."""
    state = folder / "checkpoint"
    if state.is_file():
        for line in state.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model_checkpoint_path":
                name = os.path.basename(value.strip().strip('"'))  # noqa: PTH119  (paths of another machine)
                return os.path.join(folder, name)  # noqa: PTH118  (keeps the slash at the end)
    metas = sorted(folder.glob("*.meta"))
    return _beside(metas[0], ".meta") if len(metas) == 1 else None


def open_checkpoint(
    source: str | Path, signatures: Mapping[str, Signature] | None, tags: Sequence[str]
) -> OwnedGraphSource:
    """Open a checkpoint whose ``.meta`` file holds the graph; raises ``ModelError`` naming the file at fault."""
    import tensorflow as tf

    prefix = checkpoint_prefix(Path(source))
    if prefix is None:
        raise ModelError(f"{source} is not a checkpoint", hint="give PREFIX of PREFIX.meta and PREFIX.index")
    meta = Path(f"{prefix}.meta")
    if not meta.is_file():
        raise ModelError(
            f"{meta} does not exist: the checkpoint has values, but no graph",
            hint="build the model in Python, restore the checkpoint into it and export the model",
        )
    # checkpoints of the first format have no index
    if not Path(f"{prefix}.index").is_file() and not tf.compat.v1.train.checkpoint_exists(prefix):
        raise ModelError(f"{prefix}.index does not exist", hint="copy all files of the checkpoint")
    meta_graph = _read(meta, tf.compat.v1.MetaGraphDef(), text=None)
    try:
        graph, saver = import_graph(
            meta_graph.graph_def,
            lambda: tf.compat.v1.train.import_meta_graph(meta_graph, clear_devices=True) or tf.compat.v1.train.Saver(),
        )
    except (ValueError, TypeError, KeyError, tf.errors.OpError) as error:
        raise ModelError(
            f"the graph in {meta} cannot be used: {first_line(error)}",
            hint="import the libraries of its ops first (--import MODULE), or use the TensorFlow that made it",
        ) from error
    with graph.as_default():
        initialize = tf.compat.v1.tables_initializer()
        session = tf.compat.v1.Session(graph=graph)
        try:
            saver.restore(session, prefix)
            session.run(initialize)
        except (tf.errors.OpError, ValueError) as error:
            session.close()
            raise ModelError(
                f"the checkpoint {prefix} cannot be restored: {first_line(error)}",
                hint="copy all files of the checkpoint again",
            ) from error
    return _open_graph(graph, session, signatures, tags)


def open_graph_def(source: Any, signatures: Mapping[str, Signature] | None, tags: Sequence[str]) -> OwnedGraphSource:
    """Open a frozen GraphDef: a file (binary, or text if it ends in ``.pbtxt``), a message or a ``tf.Graph``."""
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef()
    if isinstance(source, (str, Path)):
        definition = _read_graph_def(Path(source))
    else:
        definition.CopyFrom(source.as_graph_def() if isinstance(source, tf.Graph) else source)
    try:
        graph, _ = import_graph(definition, lambda: tf.compat.v1.import_graph_def(definition, name=""))
    except (ValueError, tf.errors.OpError) as error:
        raise ModelError(
            f"the GraphDef cannot be used: {first_line(error)}", hint="freeze it with the TensorFlow that made it"
        ) from error
    return _open_graph(graph, tf.compat.v1.Session(graph=graph), signatures, tags)


def _open_graph(
    graph: Any, session: Any, signatures: Mapping[str, Signature] | None, tags: Sequence[str]
) -> OwnedGraphSource:
    try:
        return OwnedGraphSource(graph, session, signatures, tags)
    except BaseException:
        session.close()
        raise


def _read_graph_def(path: Path) -> Any:
    import tensorflow as tf

    definition = _read(path, tf.compat.v1.GraphDef(), text=path.suffix in (".pbtxt", ".prototxt"))
    if not definition.node:
        raise ModelError(f"{path} holds no graph", hint="give a frozen graph; a SavedModel is given as its directory")
    return definition


def _read(path: Path, message: Any, *, text: bool | None) -> Any:
    """Read a protobuf message; ``text``: as text, ``None`` for either, as ``export_meta_graph`` writes both."""
    from google.protobuf import text_format
    from google.protobuf.message import DecodeError

    kind = type(message).__name__
    try:
        data = path.read_bytes()
        if text is None:
            # a field of a MetaGraphDef begins with a letter in text, with a control character in binary
            text = data[:1].isalpha()
        if text:
            text_format.Parse(data, message)
        else:
            message.ParseFromString(data)
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        hint = "give a frozen graph" if kind == "GraphDef" else "copy the checkpoint again"
        raise ModelError(f"{path} is not a valid {kind}: {first_line(error)}", hint=hint) from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    return message
