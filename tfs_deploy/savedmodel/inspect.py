"""Inspecting a version: everything a SavedModel says about itself, as plain values."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel import layout, versions
from tfs_deploy.savedmodel.manifest import read_manifest
from tfs_deploy.savedmodel.scan import scan_saved_model
from tfs_deploy.savedmodel.warmup import count_warmup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.savedmodel.manifest import Manifest
    from tfs_deploy.savedmodel.scan import MetaGraphFacts

#: the tag set that tensorflow_model_server loads unless told otherwise (--saved_model_tags)
SERVE_TAG = "serve"


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of ``assets/`` that the graph reads; ``size`` in bytes is ``None`` if it is missing."""

    name: str
    tensor: str
    size: int | None


@dataclass(frozen=True, slots=True)
class SavedModelInfo:
    """A SavedModel as its files describe it."""

    path: Path
    version: int | None
    pb_bytes: int
    meta_graphs: tuple[MetaGraphFacts, ...]
    assets: tuple[Asset, ...]
    warmup_records: int | None
    manifest: Manifest | None

    @property
    def serving(self) -> MetaGraphFacts:
        """The meta graph that a server loads."""
        return serving_graph(self.meta_graphs)

    @property
    def tag_sets(self) -> list[tuple[str, ...]]:
        """Tags of each meta graph, sorted."""
        return [tuple(sorted(graph.tags)) for graph in self.meta_graphs]

    @property
    def signatures(self) -> dict[str, SignatureInfo]:
        """Signatures of the serving meta graph."""
        return self.serving.signatures

    @property
    def tensorflow_version(self) -> str:
        """Version of the TensorFlow that wrote the serving meta graph."""
        return self.serving.tensorflow_version

    @property
    def producer(self) -> int:
        """GraphDef version of the serving meta graph."""
        return self.serving.graph.producer

    @property
    def ops(self) -> Counter[str]:
        """Count of each op in the serving meta graph, functions included."""
        return self.serving.graph.ops


def serving_graph(meta_graphs: Sequence[MetaGraphFacts]) -> MetaGraphFacts:
    """Return the meta graph tagged exactly ``serve``, else the first."""
    return next((graph for graph in meta_graphs if graph.tags == [SERVE_TAG]), meta_graphs[0])


def resolve_version(path: str | Path) -> Path:
    """Return ``path`` if it is a SavedModel, else the latest version below it; ``ModelError`` says what is there."""
    folder = Path(path)
    if not folder.exists():
        raise ModelError(f"{folder} does not exist", hint="give a version directory or the base path above it")
    if not folder.is_dir():
        raise ModelError(f"{folder} is a file", hint="give the directory that holds saved_model.pb")
    if _model_file(folder) is not None:
        return folder
    if any(version.path.is_dir() for version in versions.list_versions(folder)):
        return versions.latest_version(folder).path
    return folder


def inspect_model(path: str | Path) -> SavedModelInfo:
    """Describe a version directory, or the latest version of a base path, without TensorFlow.

    Raises:
        ModelError: there is no SavedModel, or one of its files is damaged; the message names the file.
    """
    folder = resolve_version(path)
    file = folder / layout.SAVED_MODEL
    if not file.is_file():
        raise _no_model(folder)
    meta_graphs = tuple(scan_saved_model(file))
    return SavedModelInfo(
        path=folder,
        version=versions.version_number(folder.resolve().name),
        pb_bytes=file.stat().st_size,
        meta_graphs=meta_graphs,
        assets=tuple(
            _asset(folder, name, tensor) for name, tensor in sorted(serving_graph(meta_graphs).assets.items())
        ),
        warmup_records=count_warmup(folder),
        manifest=read_manifest(folder),
    )


def _asset(folder: Path, name: str, tensor: str) -> Asset:
    path = folder / layout.ASSETS / name
    return Asset(name, tensor, path.stat().st_size if path.is_file() else None)


def _model_file(folder: Path) -> str | None:
    names = (layout.SAVED_MODEL, layout.SAVED_MODEL_TEXT, layout.SAVED_MODEL_CHUNKED, layout.TFLITE_MODEL)
    return next((name for name in names if (folder / name).exists()), None)


def _no_model(folder: Path) -> ModelError:
    present = _model_file(folder)
    if present == layout.TFLITE_MODEL:
        return ModelError(
            f"{folder} holds {present} but no {layout.SAVED_MODEL}",
            hint="the server reads it only with --prefer_tflite_model; there is nothing else to inspect",
        )
    hint = f"there is a {present}, which is another format" if present else "a SavedModel directory has that file"
    return ModelError(f"{folder / layout.SAVED_MODEL} does not exist", hint=hint)
