"""A SavedModel as source: copied as it is, with other signatures, or loaded and traced again."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.errors import ModelError, StatusError, UsageError
from tfs_deploy.export.signatures.composition import Wrapped
from tfs_deploy.export.signatures.names import is_made_up, naming_hint
from tfs_deploy.export.sources.signature_defs import edited, rewrite
from tfs_deploy.export.tensorflow.quiet import load_tensorflow
from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec, signature_infos
from tfs_deploy.runtime.engine import Engine
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.inspect import resolve_version
from tfs_deploy.savedmodel.review import NO_MANIFEST, Accepts, review_manifest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np

    from tfs_deploy.export.signatures.signature import Signature
    from tfs_deploy.export.sources.source import Source
    from tfs_deploy.export.tensorflow.hashing import Hasher

    Array = np.ndarray[Any, Any]

logger = logging.getLogger(__name__)
#: what describes exactly the files it lies with
_DESCRIPTIONS = (layout.MANIFEST,)
#: what belongs to the signatures it was recorded for
_RECORDINGS = (layout.MANIFEST, layout.GOLDENS, layout.WARMUP)
_TABLE_OPS: Final = frozenset({"HashTable", "HashTableV2", "MutableHashTable", "MutableHashTableV2"})


def open_saved_model(source: str | Path, signatures: Mapping[str, Signature] | None, tags: Sequence[str]) -> Source:
    """Open a SavedModel directory, or the latest version of a base path; raises ``ModelError`` if it is damaged."""
    folder = resolve_version(source)
    _check_manifest(folder)
    model = _read(folder)
    graph = _meta_graph(folder, model, tags)
    if signatures is None:
        return CopiedSource(folder, tags, signature_infos(graph.signature_def), _DESCRIPTIONS)
    renames = all(not isinstance(one, Wrapped) and not callable(one.function) for one in signatures.values())
    if renames and not graph.HasField("object_graph_def"):
        definitions = edited(graph, signatures)
        return EditedSource(folder, tags, model, graph, definitions)
    from tfs_deploy.export.sources.retrace import RetracedSource

    of_tensorflow_1 = not graph.HasField("object_graph_def")
    if of_tensorflow_1:
        _refuse_nameless_tables(folder, graph)
    load_tensorflow()
    return RetracedSource(folder, tags, signatures, graph if of_tensorflow_1 else None)


class CopiedSource:
    """A SavedModel that is published as it is: all meta graphs, assets, warmup and goldens."""

    def __init__(
        self, folder: Path, tags: Sequence[str], infos: dict[str, SignatureInfo], left_out: tuple[str, ...]
    ) -> None:
        self._folder = folder
        self._tags = tags
        self._infos = infos
        self._left_out = left_out
        self._engine: Engine | None = None
        for info in infos.values():
            for name in filter(is_made_up, info.outputs):
                logger.warning(
                    "signature %s: the output name %s is one that TensorFlow made up; rename it: %s",
                    *(info.name, name, naming_hint(info.name, "output")),
                )

    def inputs(self, signature: str) -> dict[str, TensorSpec] | None:
        """Return the input specs of a signature, ``None`` if there is no such signature."""
        info = self._infos.get(signature)
        return None if info is None else info.inputs

    def signature_names(self) -> list[str]:
        """List the signatures that will be written."""
        return list(self._infos)

    def run(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a signature of the SavedModel that is copied from."""
        if self._engine is None:
            try:
                self._engine = Engine.load(self._folder, tags=self._tags)
            except StatusError as error:
                raise ModelError(
                    f"{self._folder} cannot be loaded: {error.message}", hint=f"tfs-deploy lint {self._folder}"
                ) from error
        info = self._infos[signature]
        feeds = {spec.tensor: inputs[name] for name, spec in info.inputs.items()}
        fetches = [spec.tensor for spec in info.outputs.values()]
        return dict(zip(info.outputs, self._engine.compute(feeds, fetches), strict=True))

    def save(self, directory: Path, _hasher: Hasher) -> None:
        """Copy every file but those that are made anew; links are copied as what they point to."""
        self.close()
        copy_model(self._folder, directory, self._left_out)

    def close(self) -> None:
        """Free the model."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


class EditedSource(CopiedSource):
    """A TensorFlow 1 SavedModel with other SignatureDefs in one of its meta graphs; the rest is copied."""

    def __init__(self, folder: Path, tags: Sequence[str], model: Any, graph: Any, definitions: dict[str, Any]) -> None:
        super().__init__(folder, tags, signature_infos(definitions), _RECORDINGS)
        self._model = model
        self._graph = graph
        self._definitions = definitions

    def save(self, directory: Path, hasher: Hasher) -> None:
        """Copy the files, then write the graphs with the new SignatureDefs."""
        super().save(directory, hasher)
        rewrite(directory, self._model, self._graph, self._definitions)


class CopyExtras:
    """Copies what a SavedModel has in ``assets.extra`` beside what the toolkit records there."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def to(self, directory: Path) -> None:
        """Copy into a version directory."""
        extras = self._folder / layout.ASSETS_EXTRA
        if extras.is_dir():
            _copy(extras, directory / layout.ASSETS_EXTRA, self._folder, _RECORDINGS)


def copy_model(folder: Path, directory: Path, left_out: Sequence[str]) -> None:
    """Copy a SavedModel's files into an existing directory, except those left out (paths below it)."""
    _copy(folder, directory, folder, left_out)


def _copy(source: Path, target: Path, root: Path, left_out: Sequence[str]) -> None:
    def ignore(place: str, names: list[str]) -> list[str]:
        return [name for name in names if (Path(place) / name).relative_to(root).as_posix() in left_out]

    shutil.copytree(source, target, ignore=ignore, dirs_exist_ok=True, copy_function=shutil.copyfile)


def _read(folder: Path) -> Any:
    from google.protobuf.message import DecodeError

    file = folder / layout.SAVED_MODEL
    try:
        model = protos.SavedModel.FromString(file.read_bytes())
    except FileNotFoundError:
        raise ModelError(f"{file} does not exist", hint="give a directory that holds saved_model.pb") from None
    except DecodeError as error:
        raise ModelError(f"{file} is damaged or no SavedModel: {error}", hint="export the model again") from error
    if not model.meta_graphs:
        raise ModelError(f"{file} holds no meta graph", hint="export the model again")
    return model


def _meta_graph(folder: Path, model: Any, tags: Sequence[str]) -> Any:
    """Return the meta graph whose tags are exactly these, as the server's loader matches them (loader_util.cc)."""
    for graph in model.meta_graphs:
        if set(graph.meta_info_def.tags) == set(tags):
            return graph
    there = [",".join(sorted(graph.meta_info_def.tags)) or "(no tags)" for graph in model.meta_graphs]
    raise UsageError(
        f"{folder} has no meta graph tagged {','.join(tags)}",
        hint=f"tag sets there: {'; '.join(there)}; give one as tags, and to the server as --saved_model_tags",
    )


def _refuse_nameless_tables(folder: Path, graph: Any) -> None:
    """Refuse tables that only their place in the graph names: traced again, nobody finds them to fill them."""
    nameless = sorted(
        node.name for node in graph.graph_def.node if node.op in _TABLE_OPS and not node.attr["shared_name"].s
    )
    if nameless:
        raise UsageError(
            f"{folder} is of TensorFlow 1 and has a lookup table without a shared name ({nameless[0]}), so nothing can "
            "be built around it",
            hint="its own signatures can be renamed or left out: Signature('NAME', inputs={'new': 'existing'})",
        )


def _check_manifest(folder: Path) -> None:
    refused = Accepts(frozenset({NO_MANIFEST})).refused(review_manifest(folder))
    if refused:
        raise ModelError(
            f"{folder} is not what was exported: {refused[0]}", hint=f"`tfs-deploy inspect --check {folder}` lists all"
        )
