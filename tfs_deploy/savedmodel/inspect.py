# SPDX-License-Identifier: Apache-2.0
"""Inspect a version: everything that a SavedModel says about itself, as plain values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import ModelError, file_hint
from tfs_deploy.protos.signatures import INTERNAL_SIGNATURES
from tfs_deploy.savedmodel import layout, versions
from tfs_deploy.savedmodel.formats.bundle import Bundle, read_bundle, verify_bundle
from tfs_deploy.savedmodel.graph.scan import graph_file, scan_saved_model
from tfs_deploy.savedmodel.manifest import read_manifest
from tfs_deploy.savedmodel.warmup import count_warmup

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.savedmodel.formats.bundle import Variable
    from tfs_deploy.savedmodel.graph.features import Feature
    from tfs_deploy.savedmodel.graph.scan import MetaGraphFacts
    from tfs_deploy.savedmodel.graph.scopes import Scope
    from tfs_deploy.savedmodel.manifest import Manifest

#: the tag set that tensorflow_model_server loads unless told otherwise (--saved_model_tags)
SERVE_TAGS: Final = frozenset({"serve"})
#: variables up to this many bytes are always compared with their checksums (0.05 s), larger ones on request
_CHECKED_ALWAYS: Final = 4 << 20


@dataclass(frozen=True, slots=True)
class Asset:
    """A file of ``assets/`` that the graph names; ``size`` in bytes is ``None`` if it is missing."""

    name: str
    tensor: str
    size: int | None


@dataclass(frozen=True)
class SavedModelInfo:
    """A SavedModel as its files describe it; its graph is that of the served meta graph."""

    path: Path
    version: int | None
    pb_bytes: int
    meta_graphs: tuple[MetaGraphFacts, ...]
    bundle: Bundle | None
    assets: tuple[Asset, ...]

    def __repr__(self) -> str:
        graphs = [f"{', '.join(each.tags)}: {', '.join(sorted(each.signature_defs))}" for each in self.meta_graphs]
        return f"SavedModelInfo({self.path}; {'; '.join(graphs)})"

    @cached_property
    def warmup_records(self) -> int | None:
        """Number of warmup records, ``None`` without a warmup file; ``ModelError`` if its framing is damaged."""
        return count_warmup(self.path)

    @cached_property
    def manifest(self) -> Manifest | None:
        """The manifest, ``None`` if the version has none; ``ModelError`` if it is not valid."""
        return read_manifest(self.path)

    @property
    def model(self) -> str:
        """Name under which the model is likely to be served: that of the base path."""
        folder = versions.named_folder(self.path)
        return (folder.parent.name if self.version is not None else folder.name) or "model"

    @property
    def serving(self) -> MetaGraphFacts:
        """The meta graph that a server loads."""
        return serving_graph(self.meta_graphs)

    @property
    def tag_sets(self) -> list[tuple[str, ...]]:
        """Tags of each meta graph, sorted."""
        return [tuple(sorted(graph.tags)) for graph in self.meta_graphs]

    @cached_property
    def signatures(self) -> dict[str, SignatureInfo]:
        """Signatures that a client can call, by name."""
        return self.serving.signatures

    @property
    def tensorflow_version(self) -> str:
        """Version of the TensorFlow that wrote the model."""
        return self.serving.tensorflow_version

    @property
    def producer(self) -> int:
        """GraphDef version of the TensorFlow that wrote the model."""
        return self.serving.graph.producer

    @cached_property
    def ops(self) -> Counter[str]:
        """Count of each op in the graph and its functions."""
        return self.serving.graph.ops

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The stored variables."""
        return self.bundle.variables if self.bundle else ()

    @property
    def variable_bytes(self) -> int:
        """Bytes of all variables."""
        return self.bundle.total_bytes if self.bundle else 0

    def reached_by(self, signature: str) -> list[Scope]:
        """Return what a call of ``signature`` executes."""
        info = self.signatures[signature]
        outputs = [spec.tensor for spec in info.outputs.values()]
        return self.serving.graph.reachable(outputs, fed=[spec.tensor for spec in info.inputs.values()])

    @cached_property
    def reached_at_load(self) -> list[Scope]:
        """What the server executes when it loads the model."""
        return self.serving.graph.reachable(self._run_at_load)

    @property
    def _run_at_load(self) -> list[str]:
        internal = [
            output.name
            for name in INTERNAL_SIGNATURES & self.serving.signature_defs.keys()
            for output in self.serving.signature_defs[name].outputs.values()
        ]
        return [*internal, *self.serving.init_ops]

    def reads(self, asset: Asset) -> bool:
        """Tell whether loading the model or calling a signature may open a file of ``assets/``."""
        graph = self.serving.graph
        nodes = graph.reached_nodes(self._run_at_load)
        for info in self.signatures.values():
            fed = [spec.tensor for spec in info.inputs.values()]
            nodes |= graph.reached_nodes([spec.tensor for spec in info.outputs.values()], fed)
        return graph.uses_value(asset.tensor, nodes)

    def features(self, signature: str) -> list[Feature]:
        """Return the features that a signature reads out of serialized tf.Examples; empty if it parses none."""
        found: dict[str, Feature] = {}
        for scope in self.reached_by(signature):
            for parser in scope.parsers:
                found.update({feature.name: feature for feature in parser.features(scope.texts, scope.empty)})
        return [found[name] for name in sorted(found)]


def serving_graph(meta_graphs: Sequence[MetaGraphFacts]) -> MetaGraphFacts:
    """Return the meta graph tagged exactly ``serve``, else the first."""
    return next((graph for graph in meta_graphs if set(graph.tags) == SERVE_TAGS), meta_graphs[0])


def inspect_model(path: str | Path) -> SavedModelInfo:
    """Describe a version directory, or the latest version of a base path, without TensorFlow.

    The data of variables is compared with its checksums up to 4 MB; ``review.check_files`` does so for any size.

    Raises:
        ModelError: there is no SavedModel, or one of its files is damaged; the message names the file.
    """
    try:
        return _inspect(resolve_version(path))
    except OSError as error:
        raise ModelError(f"{error.filename or path} cannot be read: {error.strerror}", hint=file_hint(error)) from error


def _inspect(folder: Path) -> SavedModelInfo:
    file = graph_file(folder)
    if not file.is_file():
        raise _no_model(folder)
    meta_graphs = tuple(scan_saved_model(file))
    return SavedModelInfo(
        path=folder,
        version=versions.version_number(versions.named_folder(folder).name),
        pb_bytes=file.stat().st_size,
        meta_graphs=meta_graphs,
        bundle=_checked_bundle(folder),
        assets=tuple(_asset(folder, *asset) for asset in sorted(serving_graph(meta_graphs).assets.items())),
    )


def resolve_version(path: str | Path) -> Path:
    """Return ``path`` if it is a version directory, else the latest version below it; ``ModelError`` if none."""
    folder = Path(path)
    if not folder.exists():
        raise ModelError(f"{folder} does not exist", hint="give a version directory or the base path above it")
    if not folder.is_dir():
        raise ModelError(f"{folder} is a file", hint="give the directory that holds saved_model.pb")
    if _model_file(folder) is not None:
        return folder
    if versions.list_versions(folder):
        return versions.latest_version(folder).path
    return folder


def damaged_variables(bundle: Bundle) -> list[str]:
    """Compare all variables with their checksums and describe the damaged ones, file first."""
    return [
        f"{path}: the data of variable '{name}' does not match its checksum" for path, name in verify_bundle(bundle)
    ]


def _checked_bundle(folder: Path) -> Bundle | None:
    bundle = read_bundle(folder)
    if bundle is not None and bundle.stored_bytes <= _CHECKED_ALWAYS:
        damaged = damaged_variables(bundle)
        if damaged:
            raise ModelError(damaged[0], hint="copy or export the version again; the server refuses to load it")
    return bundle


def _asset(folder: Path, name: str, tensor: str) -> Asset:
    try:
        size = (folder / layout.ASSETS / name).stat().st_size
    except (OSError, ValueError):  # it does not exist, or the name is not possible
        size = None
    return Asset(name, tensor, size)


def _model_file(folder: Path) -> str | None:
    return next((name for name in layout.MODEL_FILES if (folder / name).exists()), None)


def _no_model(folder: Path) -> ModelError:
    if not folder.is_dir():
        return ModelError(
            f"{folder} is a file, which the server takes for a version", hint="remove it, or give another version"
        )
    present = _model_file(folder)
    if present == layout.TFLITE_MODEL:
        return ModelError(
            f"{folder} holds {present} but no {layout.SAVED_MODEL}",
            hint="the server reads it only with --prefer_tflite_model; tfs-deploy cannot inspect it",
        )
    if present in (None, layout.SAVED_MODEL):
        problem = "does not exist" if present is None else "is not a file"
        return ModelError(
            f"{folder / layout.SAVED_MODEL} {problem}",
            hint="give a version directory or the base path above it; `tfs-deploy export` writes one",
        )
    return ModelError(
        f"{folder / layout.SAVED_MODEL} does not exist, but {present}, a format that cannot be read without TensorFlow",
        hint="load the model in TensorFlow and save it again with tf.saved_model.save",
    )
