# SPDX-License-Identifier: Apache-2.0
"""The kinds of models that can be exported: one row each, with how it is recognised and what opens it."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import did_you_mean
from tfs_deploy.export.sources.graph_files import checkpoint_prefix
from tfs_deploy.export.sources.keras_file import load_keras_file
from tfs_deploy.export.sources.keras_source import is_keras
from tfs_deploy.export.tensorflow.silence import load_tensorflow
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.versions import list_versions

if TYPE_CHECKING:
    from tfs_deploy.export.signatures.signature import Signature
    from tfs_deploy.export.sources.source import Dtypes, Source

Opener: TypeAlias = "Callable[[Any, Mapping[str, Signature] | None, Any], Source]"
_FOREIGN: Final = {
    ".tflite": "a TensorFlow Lite model, which cannot be converted back",
    ".onnx": "an ONNX model, not a TensorFlow one",
    ".pt": "a PyTorch file, not a TensorFlow one",
    ".pth": "a PyTorch file, not a TensorFlow one",
    ".pkl": "a pickle, not a TensorFlow model",
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of source.

    ``opener``: the module of this package and its function that opens a source, imported when it is needed.
    ``fits_path`` and ``fits_object`` recognise a source given as a path or as an object, ``None`` if it cannot be
    given so. ``any_tags``: it can be written with other tags than ``serve``; its opener takes the tags, those of the
    others the dtypes of the examples.
    """

    opener: str
    fits_path: Callable[[Path], bool] | None = None
    fits_object: Callable[[Any], bool] | None = None
    any_tags: bool = True
    needs_tensorflow: bool = True

    def load(self) -> Opener:
        """Import the opener."""
        module, _, function = self.opener.partition(":")
        opener: Opener = getattr(importlib.import_module(f"{__package__}.{module}"), function)
        return opener


def open_source(
    source: Any,
    kind: str | None,
    signatures: Mapping[str, Signature] | None,
    tags: Sequence[str],
    dtypes: Dtypes | None = None,
    *,
    safe_mode: bool = True,
) -> Source:
    """Recognise a source (or take ``kind``) and prepare it for writing; raises ``UsageError``.

    ``dtypes``: of the examples, for models that do not know those of their inputs; ``safe_mode``: refuse Python code in
    a Keras file.
    """
    name = kind or detect(source)
    found = KINDS.get(name)
    if found is None:
        raise UsageError(f"{name!r} is not a kind of source", hint=did_you_mean(name, KINDS))
    if found.needs_tensorflow:
        load_tensorflow()
    if not found.any_tags and list(tags) != ["serve"]:
        raise UsageError(f"a source of kind {name} is always written with the tag 'serve'", hint="leave the tags out")
    if _is_path(source) and found.fits_path is None:
        raise UsageError(f"{source} is a path, but a {name} is given as an object", hint="leave the kind out")
    if not _is_path(source) and found.fits_object is None:
        raise UsageError(
            f"a {type(source).__name__} is not a path, but a {name} is given by its path", hint="leave the kind out"
        )
    if not safe_mode and not (name == "keras" and _is_path(source)):
        raise UsageError("safe mode is about the Python code in .keras and .h5 files", hint="leave --no-safe-mode out")
    if not safe_mode:
        source = load_keras_file(source, safe_mode=False)
    return found.load()(source, signatures, tags if found.any_tags else dtypes or {})


def detect(source: Any) -> str:
    """Return the kind of a source; ``UsageError`` if it cannot be exported. Paths are looked at without TensorFlow."""
    if _is_path(source):
        path = Path(source)
        fitting = (name for name, kind in KINDS.items() if kind.fits_path is not None and kind.fits_path(path))
        return next(fitting, None) or _refuse_path(path)
    fitting = (name for name, kind in KINDS.items() if kind.fits_object is not None and kind.fits_object(source))
    return next(fitting, None) or _refuse_object(source)


def _is_path(source: Any) -> bool:
    return isinstance(source, (str, os.PathLike))


def _is_saved_model(path: Path) -> bool:
    if not path.is_dir():
        return False
    # Variables alone are a SavedModel that lost its graph; the opener says so.
    names = (*layout.GRAPH_FILES, layout.VARIABLES)
    folders = [path, *(version.path for version in list_versions(path))]
    return any((folder / name).exists() for folder in folders for name in names)


def _is_keras_file(path: Path) -> bool:
    return path.suffix in (".keras", ".h5", ".hdf5") and path.is_file()


def _is_checkpoint(path: Path) -> bool:
    return checkpoint_prefix(path) is not None


def _is_other_file(path: Path) -> bool:
    named_otherwise = path.name in layout.GRAPH_FILES or path.suffix in _FOREIGN
    return path.exists() and not path.is_dir() and not named_otherwise


def _class_names(source: Any) -> set[str]:
    return {cls.__name__ for cls in type(source).__mro__ if cls.__module__ != "builtins"}


def _is_session(source: Any) -> bool:
    return not _class_names(source).isdisjoint({"BaseSession", "MonitoredSession"})


def _is_graph(source: Any) -> bool:
    return not _class_names(source).isdisjoint({"GraphDef", "Graph"})


def _is_functions(source: Any) -> bool:
    load_tensorflow()
    import tensorflow as tf

    kinds = (tf.types.experimental.GenericFunction, tf.types.experimental.ConcreteFunction)
    functions = list(source.values()) if isinstance(source, Mapping) else [source]
    return bool(functions) and all(isinstance(function, kinds) for function in functions)


def _is_module(source: Any) -> bool:
    load_tensorflow()
    import tensorflow as tf

    return isinstance(source, (tf.Module, tf.__internal__.tracking.Trackable))


#: kinds by name; the first that fits is taken
KINDS: Final[dict[str, Kind]] = {
    "session": Kind("graph_source:open_session", fits_object=_is_session),
    "savedmodel": Kind("savedmodel_source:open_saved_model", _is_saved_model, needs_tensorflow=False),
    "keras": Kind("keras_source:open_keras", _is_keras_file, is_keras, any_tags=False),
    "checkpoint": Kind("graph_files:open_checkpoint", _is_checkpoint),
    "graphdef": Kind("graph_files:open_graph_def", _is_other_file, _is_graph),
    "functions": Kind("module_source:open_functions", fits_object=_is_functions, any_tags=False),
    "module": Kind("module_source:open_module", fits_object=_is_module, any_tags=False),
}


def _refuse_path(path: Path) -> str:
    if path.is_dir():
        raise UsageError(
            f"{path} holds no SavedModel, no version directory and no checkpoint",
            hint="give the directory with saved_model.pb, or a file (.keras, .h5, .meta, .pb)",
        )
    if not path.exists():
        raise UsageError(f"{path} does not exist", hint="give the path of a model, or a model object")
    if path.name in layout.GRAPH_FILES:
        raise UsageError(f"{path} is one file of a SavedModel", hint=f"give its directory, {path.parent}")
    raise UsageError(f"{path} is {_FOREIGN[path.suffix]}", hint="export the model that it was made from")


def _refuse_object(source: Any) -> str:
    raise UsageError(
        f"an object of type {type(source).__name__} cannot be exported",
        hint="give a Keras model, a tf.Module, tf.functions, a tf.compat.v1.Session, or the path of a model",
    )
