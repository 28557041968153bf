"""What kind of thing a source is, and opening it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import did_you_mean
from tfs_deploy.export.sources.graph_files import checkpoint_prefix
from tfs_deploy.export.tensorflow.quiet import load_tensorflow
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.versions import list_versions

if TYPE_CHECKING:
    from tfs_deploy.export.signatures.signature import Signature
    from tfs_deploy.export.sources.source import Source

Signatures: TypeAlias = "Mapping[str, Signature] | None"
_MODEL_FILES: Final = (layout.SAVED_MODEL, layout.SAVED_MODEL_TEXT, layout.SAVED_MODEL_CHUNKED)
_FOREIGN: Final = {
    ".tflite": "a TensorFlow Lite model, which cannot be turned back",
    ".onnx": "an ONNX model, not a TensorFlow one",
    ".pt": "a PyTorch file, not a TensorFlow one",
    ".pth": "a PyTorch file, not a TensorFlow one",
    ".pkl": "a pickle, not a TensorFlow model",
}


def open_source(source: Any, kind: str | None, signatures: Signatures, tags: Sequence[str]) -> Source:
    """Detect what ``source`` is (or take ``kind``) and prepare it for writing; raises ``UsageError``."""
    found = kind or detect(source)
    if found not in OPENERS:
        raise UsageError(f"{found!r} is not a kind of source", hint=did_you_mean(found, OPENERS))
    if found != "savedmodel":  # a copy needs no TensorFlow
        load_tensorflow()
    return OPENERS[found](source, signatures, tags)


def detect(source: Any) -> str:
    """Name the kind of a source; raises ``UsageError`` if it is none. Paths are looked at without TensorFlow."""
    if isinstance(source, (str, os.PathLike)):
        return _detect_path(Path(source))
    kinds = {cls.__name__ for cls in type(source).__mro__ if cls.__module__.partition(".")[0] != "builtins"}
    if kinds & {"BaseSession", "MonitoredSession"}:
        return "session"
    if kinds & {"GraphDef", "Graph"}:
        return "graphdef"
    return _detect_object(source)


def _detect_object(source: Any) -> str:
    import tensorflow as tf

    from tfs_deploy.export.sources.keras_source import is_keras

    functions = list(source.values()) if isinstance(source, Mapping) else [source]
    if is_keras(source):
        return "keras"
    kinds = (tf.types.experimental.GenericFunction, tf.types.experimental.ConcreteFunction)
    if functions and all(isinstance(one, kinds) for one in functions):
        return "functions"
    if isinstance(source, (tf.Module, tf.__internal__.tracking.Trackable)):
        return "module"
    raise UsageError(
        f"an object of type {type(source).__name__} is nothing that can be exported",
        hint="give a Keras model, a tf.Module, tf.functions, a tf.compat.v1.Session, or the path of a model",
    )


def _detect_path(path: Path) -> str:
    if path.is_dir():
        folders = [path, *(version.path for version in list_versions(path))]
        # Variables alone are a SavedModel that lost its graph; what reads it says so.
        if any((folder / name).exists() for folder in folders for name in (*_MODEL_FILES, layout.VARIABLES)):
            return "savedmodel"
        if checkpoint_prefix(path) is not None:
            return "checkpoint"
        raise UsageError(
            f"{path} holds no SavedModel, no version directory and no checkpoint",
            hint="give the directory with saved_model.pb, or a file (.keras, .h5, .meta, .pb)",
        )
    if path.suffix in (".keras", ".h5", ".hdf5") and path.is_file():
        return "keras"
    if checkpoint_prefix(path) is not None:
        return "checkpoint"
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="give the path of a model, or a model object")
    if path.name in _MODEL_FILES:
        raise UsageError(f"{path} is one file of a SavedModel", hint=f"give its directory, {path.parent}")
    if path.suffix in _FOREIGN:
        raise UsageError(f"{path} is {_FOREIGN[path.suffix]}", hint="export the model that it was made from")
    return "graphdef"


def _keras(source: Any, signatures: Signatures, tags: Sequence[str]) -> Source:
    from tfs_deploy.export.sources.keras_file import load_keras_file
    from tfs_deploy.export.sources.keras_source import bind_keras, is_keras
    from tfs_deploy.export.sources.source import TracedSource

    _only_serve("keras", tags)
    if _is_path(source):
        source = load_keras_file(source)
    if not is_keras(source):
        raise UsageError(f"a {type(source).__name__} is no Keras model", hint="leave the kind out to have it detected")
    return TracedSource(bind_keras(source, signatures))


def _module(source: Any, signatures: Signatures, tags: Sequence[str]) -> Source:
    from tfs_deploy.export.sources.module_source import bind_module
    from tfs_deploy.export.sources.source import TracedSource

    _only_serve("module", tags)
    _no_path("module", source)
    return TracedSource(bind_module(source, signatures))


def _functions(source: Any, signatures: Signatures, tags: Sequence[str]) -> Source:
    from tfs_deploy.export.sources.module_source import bind_functions
    from tfs_deploy.export.sources.source import TracedSource

    _only_serve("functions", tags)
    _no_path("functions", source)
    return TracedSource(bind_functions(source, signatures))


def _saved_model(source: Any, signatures: Signatures, tags: Sequence[str]) -> Source:
    from tfs_deploy.export.sources.savedmodel_source import open_saved_model

    _needs_path("savedmodel", source)
    return open_saved_model(source, signatures, tags)


def _session(source: Any, signatures: Signatures, tags: Sequence[str]) -> Source:
    from tfs_deploy.export.sources.graph_source import open_session

    _no_path("session", source)
    return open_session(source, signatures, tags)


def _checkpoint(source: Any, signatures: Signatures, tags: Sequence[str]) -> Source:
    from tfs_deploy.export.sources.graph_files import open_checkpoint

    _needs_path("checkpoint", source)
    return open_checkpoint(source, signatures, tags)


def _graph_def(source: Any, signatures: Signatures, tags: Sequence[str]) -> Source:
    from tfs_deploy.export.sources.graph_files import open_graph_def

    return open_graph_def(source, signatures, tags)


def _is_path(source: Any) -> bool:
    return isinstance(source, (str, os.PathLike))


def _needs_path(kind: str, source: Any) -> None:
    if not _is_path(source):
        raise UsageError(f"a {type(source).__name__} is no path, which a {kind} is given by", hint="leave the kind out")


def _no_path(kind: str, source: Any) -> None:
    if _is_path(source):
        raise UsageError(f"{source} is a path, the kind {kind} is an object", hint="leave the kind out")


def _only_serve(kind: str, tags: Sequence[str]) -> None:
    if list(tags) != ["serve"]:
        raise UsageError(f"a source of kind {kind} is always written with the tag 'serve'", hint="leave the tags out")


OPENERS: Final[dict[str, Callable[[Any, Signatures, Sequence[str]], Source]]] = {
    "keras": _keras,
    "module": _module,
    "functions": _functions,
    "savedmodel": _saved_model,
    "session": _session,
    "checkpoint": _checkpoint,
    "graphdef": _graph_def,
}
