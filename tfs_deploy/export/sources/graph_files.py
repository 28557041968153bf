"""TensorFlow 1 graphs in files: checkpoints with a ``.meta`` graph, and frozen GraphDefs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import ModelError
from tfs_deploy.export.signatures.bound_signature import first_line
from tfs_deploy.export.sources.graph_source import OwnedGraphSource

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.export.signatures.signature import Signature


def checkpoint_prefix(path: Path) -> Path | None:
    """Return the prefix of a checkpoint: of ``PREFIX.meta``, ``PREFIX`` itself, or the latest in a directory."""
    if path.is_dir():
        return _latest(path)
    for suffix in (".meta", ".index"):
        if path.suffix == suffix and path.is_file():
            return path.with_suffix("")
    return path if Path(f"{path}.index").is_file() or Path(f"{path}.meta").is_file() else None


def _latest(folder: Path) -> Path | None:
    """Return the checkpoint that the file ``checkpoint`` names, else the only one with a graph."""
    state = folder / "checkpoint"
    if state.is_file():
        for line in state.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model_checkpoint_path":
                return folder / os.path.basename(value.strip().strip('"'))  # noqa: PTH119  (paths of another machine)
    metas = sorted(folder.glob("*.meta"))
    return metas[0].with_suffix("") if len(metas) == 1 else None


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
    if not Path(f"{prefix}.index").is_file():
        raise ModelError(f"{prefix}.index does not exist", hint="copy all files of the checkpoint")
    graph = tf.Graph()
    with graph.as_default():
        try:
            saver = tf.compat.v1.train.import_meta_graph(str(meta), clear_devices=True) or tf.compat.v1.train.Saver()
        except Exception as error:
            raise ModelError(f"{meta} cannot be read: {first_line(error)}", hint="copy the checkpoint again") from error
        initialize = tf.compat.v1.tables_initializer()
        session = tf.compat.v1.Session(graph=graph)
        try:
            saver.restore(session, str(prefix))
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

    definition = source
    if isinstance(source, (str, Path)):
        definition = _read_graph_def(Path(source))
    elif isinstance(source, tf.Graph):
        definition = source.as_graph_def()
    graph = tf.Graph()
    with graph.as_default():
        try:
            tf.compat.v1.import_graph_def(definition, name="")
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
    from google.protobuf import text_format
    from google.protobuf.message import DecodeError

    definition = tf.compat.v1.GraphDef()
    try:
        data = path.read_bytes()
        if path.suffix in (".pbtxt", ".prototxt"):
            text_format.Parse(data, definition)
        else:
            definition.ParseFromString(data)
    except (DecodeError, text_format.ParseError, UnicodeDecodeError) as error:
        raise ModelError(f"{path} is not a valid GraphDef: {first_line(error)}", hint="give a frozen graph") from error
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}", hint="check the path") from error
    if not definition.node:
        raise ModelError(f"{path} holds no graph", hint="give a frozen graph; a SavedModel is given as its directory")
    return definition
