# SPDX-License-Identifier: Apache-2.0
"""A SavedModel that is published with its own graph: copied as it is, or with other SignatureDefs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from tfs_deploy.codec import decode_tensor
from tfs_deploy.errors import ModelError, StatusError
from tfs_deploy.export.signatures.names import is_generated, naming_hint
from tfs_deploy.export.sources.signature_defs import rewrite
from tfs_deploy.protos.signatures import signature_infos
from tfs_deploy.runtime.engine import Engine
from tfs_deploy.runtime.load_hints import load_hint
from tfs_deploy.savedmodel import layout
from tfs_deploy.store.tree import copy_tree

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from tfs_deploy.export.tensorflow.hashing import Hasher
    from tfs_deploy.protos.signatures import TensorSpec

    Array = np.ndarray[Any, Any]

logger = logging.getLogger(__name__)
#: what describes exactly the files that it lies with
_DESCRIPTIONS = (layout.MANIFEST, *layout.ATTESTATIONS)
#: what belongs to the signatures that it was recorded for
_RECORDINGS = (*_DESCRIPTIONS, layout.GOLDENS, layout.WARMUP)


class CopiedSource:
    """A SavedModel that is published as it is: all meta graphs, assets, warmup requests and goldens."""

    def __init__(
        self,
        folder: Path,
        tags: Sequence[str],
        definitions: Mapping[str, Any],
        left_out: tuple[str, ...] = _DESCRIPTIONS,
    ) -> None:
        self._folder = folder
        self._tags = tags
        self._infos = signature_infos(definitions)
        self._definitions = definitions
        self._left_out = left_out
        self._engine: Engine | None = None
        for info in self._infos.values():
            for name in filter(is_generated, info.outputs):
                logger.warning(
                    "signature %s: TensorFlow generated the output name %s; rename it: %s",
                    *(info.name, name, naming_hint(info.name, "output")),
                )

    def inputs(self, signature: str) -> dict[str, TensorSpec] | None:
        """Return the input specs of a signature, ``None`` if there is no such signature."""
        info = self._infos.get(signature)
        return None if info is None else info.inputs

    def defaults(self, signature: str) -> Mapping[str, Array]:
        """Return the values of the inputs that a request may leave out."""
        values = self._definitions[signature].defaults
        return {name: decode_tensor(values[name].SerializeToString()) for name in values}

    def signature_names(self) -> list[str]:
        """List the signatures that will be written."""
        return list(self._infos)

    def run(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run a signature of the SavedModel that is copied."""
        if self._engine is None:
            try:
                self._engine = Engine.load(self._folder, tags=self._tags)
            except StatusError as error:
                hint = load_hint(error, f"tfs-deploy lint {self._folder}")
                raise ModelError(f"{self._folder} cannot be loaded: {error.message}", hint=hint) from error
        info = self._infos[signature]
        given = {**self.defaults(signature), **inputs}
        feeds = {spec.tensor: given[name] for name, spec in info.inputs.items()}
        fetches = [spec.tensor for spec in info.outputs.values()]
        return dict(zip(info.outputs, self._engine.compute(feeds, fetches), strict=True))

    def save(self, directory: Path, _hasher: Hasher) -> None:
        """Copy every file but those that the export writes itself; of a link inside the folder what it points to."""
        self.close()
        copy_model(self._folder, directory, self._left_out)

    def close(self) -> None:
        """Free the model."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None


class EditedSource(CopiedSource):
    """A SavedModel with other SignatureDefs or tags in one of its meta graphs; the rest is copied."""

    def __init__(self, folder: Path, tags: Sequence[str], model: Any, graph: Any, definitions: dict[str, Any]) -> None:
        super().__init__(folder, tags, definitions, _RECORDINGS)
        self._model = model
        self._graph = graph

    def save(self, directory: Path, hasher: Hasher) -> None:
        """Copy the files, then write the graphs with the new SignatureDefs, under a tag that servers can name."""
        super().save(directory, hasher)
        if not self._graph.meta_info_def.tags:
            self._graph.meta_info_def.tags.append("serve")
        rewrite(directory, self._model, self._graph, self._definitions)


def copy_extras(folder: Path, directory: Path) -> None:
    """Copy what a SavedModel has in ``assets.extra`` beside what the toolkit records there."""
    if (folder / layout.ASSETS_EXTRA).is_dir():
        others = {path.name for path in folder.iterdir()} - {layout.ASSETS_EXTRA}
        copy_tree(folder, directory, left_out=others | {*_RECORDINGS})


def copy_model(folder: Path, directory: Path, left_out: Sequence[str]) -> None:
    """Copy a SavedModel's files into an existing directory, except those left out (paths below it)."""
    copy_tree(folder, directory, left_out=left_out)
