# SPDX-License-Identifier: Apache-2.0
"""A SavedModel that is loaded with TensorFlow and traced again, for signatures that it does not have."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.codec import decode_tensor
from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.export.calls.functions import bind_all, bind_function
from tfs_deploy.export.signatures.bound_signature import BoundSignature, first_line
from tfs_deploy.export.signatures.selection import choose_names, choose_signature
from tfs_deploy.export.signatures.signature import METHODS, Signature
from tfs_deploy.export.signatures.specs import as_spec
from tfs_deploy.export.sources.model_copy import copy_extras
from tfs_deploy.export.sources.resource_variables import has_old_variables, use_resource_variables
from tfs_deploy.export.sources.source import TracedSource
from tfs_deploy.protos.signatures import argument_name
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.graph.shape_hints import contradicts_shape_hints, drop_shape_hints
from tfs_deploy.store.tree import check_tree

if TYPE_CHECKING:
    from tfs_deploy.export.tensorflow.hashing import Hasher
    from tfs_deploy.protos.signatures import TensorSpec


class RetracedSource(TracedSource):
    """Functions over the signatures and restored functions of a SavedModel."""

    def __init__(
        self, folder: Path, tags: Sequence[str], signatures: Mapping[str, Signature], graph: Any, *, old: bool
    ) -> None:
        """``graph``: the MetaGraphDef; ``old``: the SavedModel is of TensorFlow 1."""
        with contextlib.ExitStack() as stack:
            self._load(stack, folder, tags, graph if old else None)
            self._folder = folder
            self._definitions = graph.signature_def
            resources = _initializers(self._loaded) if old else []
            super().__init__(bind_all(self._bind, signatures), resources)
            self._opened = stack.pop_all()  # saving copies assets from there

    def _load(self, stack: contextlib.ExitStack, folder: Path, tags: Sequence[str], old_graph: Any | None) -> None:
        import tensorflow as tf

        check_tree(folder)  # saving copies the assets, and follows their links
        place = folder
        if old_graph is not None and has_old_variables(old_graph):
            use_resource_variables(old_graph)
            place = stack.enter_context(_with_graph(folder, old_graph))
        try:
            try:
                self._loaded = tf.saved_model.load(str(place), tags=list(tags))
            except ValueError as error:
                if old_graph is None or not contradicts_shape_hints(error):
                    raise
                drop_shape_hints(old_graph.graph_def)
                place = stack.enter_context(_with_graph(folder, old_graph))
                self._loaded = tf.saved_model.load(str(place), tags=list(tags))
        except (tf.errors.OpError, OSError, ValueError, AttributeError) as error:
            raise ModelError(
                f"{folder} cannot be loaded: {first_line(error)}", hint=f"tfs-deploy lint {folder}"
            ) from error

    def close(self) -> None:
        """Remove what was made to load from."""
        self._opened.close()

    def save(self, directory: Path, hasher: Hasher) -> None:
        """Write the traced functions, and what the SavedModel had beside its graph."""
        super().save(directory, hasher)
        copy_extras(self._folder, directory)

    def _bind(self, name: str, signature: Signature) -> BoundSignature:
        function = signature.function
        if isinstance(function, str) and function not in self._loaded.signatures:
            restored = getattr(self._loaded, function, None)
            function = restored if callable(restored) else function
        if callable(function):
            return bind_function(name, function, signature)
        chosen = choose_signature(name, signature, list(self._loaded.signatures))
        existing, definition = self._loaded.signatures[chosen], self._definitions[chosen]
        # TensorFlow knows the inputs by what it calls its arguments, the SignatureDef by their names.
        found = existing.structured_input_signature[1]
        arguments = {key: key if key in found else argument_name(key) for key in definition.inputs}
        specs = {key: as_spec(key, found[argument]) for key, argument in sorted(arguments.items())}
        renamed = choose_names(name, "input", signature.inputs, list(specs))
        outputs = choose_names(name, "output", signature.outputs, list(existing.structured_outputs))
        inputs = {new: _spec(name, new, specs[old], signature.inputs) for new, old in renamed.items()}
        call = _call_renamed(existing, {new: arguments[old] for new, old in renamed.items()})
        bound = BoundSignature.of(name, inputs, METHODS[signature.method], call, outputs)
        values = definition.defaults
        defaults = {
            new: decode_tensor(values[old].SerializeToString()) for new, old in renamed.items() if old in values
        }
        return replace(bound, defaults=defaults)


@contextlib.contextmanager
def _with_graph(folder: Path, graph: Any) -> Iterator[Path]:
    """Yield a temporary directory with the files of ``folder`` and another MetaGraphDef."""
    with tempfile.TemporaryDirectory(prefix="tfs-deploy-") as place:
        for name in (layout.VARIABLES, layout.ASSETS):
            Path(place, name).symlink_to((folder / name).resolve())
        model = protos.SavedModel(saved_model_schema_version=1, meta_graphs=[graph])
        Path(place, layout.SAVED_MODEL).write_bytes(model.SerializeToString())
        yield Path(place)


def _initializers(loaded: Any) -> list[Any]:
    """Return what fills the tables of a TensorFlow 1 graph, and the files that it reads.

    Functions know those tables by their shared names only, so no function captures them.
    """
    return [loaded.initializer, *loaded.asset_paths]


def _call_renamed(existing: Callable[..., Any], renamed: Mapping[str, str]) -> Callable[[Mapping[str, Any]], Any]:
    return lambda tensors: existing(**{old: tensors[new] for new, old in renamed.items()})


def _spec(signature: str, name: str, own: TensorSpec, given: Any) -> TensorSpec:
    """Return the spec that the caller gives for an input, or the existing one."""
    value = given.get(name) if isinstance(given, Mapping) else None
    if value is None or isinstance(value, str):
        return as_spec(name, own)
    spec = as_spec(name, value)
    if spec.dtype != own.dtype:
        raise UsageError(
            f"Signature {signature!r}: input {name!r} is {own.dtype} in the SavedModel, not {spec.dtype}",
            hint="cast in a function of your own: Signature(lambda ...: ..., inputs=...)",
        )
    return spec
