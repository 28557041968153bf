# SPDX-License-Identifier: Apache-2.0
"""What the exporter needs of a source: it can be saved, and run as the original."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

from tfs_deploy.export.calls.guessed import cast_to_integers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

    from tfs_deploy.export.signatures.bound_signature import BoundSignature
    from tfs_deploy.export.tensorflow.hashing import Hasher
    from tfs_deploy.protos.signatures import TensorSpec

    Array = np.ndarray[Any, Any]
logger = logging.getLogger(__name__)
#: the dtypes of the examples, by signature and input
Dtypes: TypeAlias = Mapping[str, Mapping[str, str]]


class Source(Protocol):
    """A model that is ready to be written."""

    def inputs(self, signature: str) -> dict[str, TensorSpec] | None:
        """Return the input specs of a signature, ``None`` if there is no such signature."""

    def defaults(self, signature: str) -> Mapping[str, Array]:
        """Return the values of the inputs that a request may leave out."""

    def signature_names(self) -> list[str]:
        """List the signatures that will be written."""

    def run(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the original model, not the written one."""

    def save(self, directory: Path, hasher: Hasher, /) -> None:
        """Write ``saved_model.pb``, variables and assets into an empty directory that ``hasher`` follows."""

    def close(self) -> None:
        """Release what the source opened itself."""


class TracedSource:
    """Functions of TensorFlow 2: a Keras model, a ``tf.Module``, ``tf.function``s."""

    def __init__(self, bound: list[BoundSignature], resources: Sequence[Any] = ()) -> None:
        self._resources = resources
        self._bound: dict[str, BoundSignature] = {}
        self._concrete: dict[str, Any] = {}
        for signature in bound:
            self._trace(signature)

    def _trace(self, signature: BoundSignature) -> None:
        concrete = signature.trace()
        integers = cast_to_integers(concrete, signature)
        if integers is not None:
            signature, concrete = integers, integers.trace()
        for name in signature.guessed:
            logger.warning(
                "signature %s: Keras does not keep the dtype of input %s, %s is assumed; an example with it, or "
                "inputs={'%s': (dtype, shape)}, says which",
                *(signature.name, name, signature.inputs[name].dtype, name),
            )
        self._bound[signature.name], self._concrete[signature.name] = signature, concrete

    def inputs(self, signature: str) -> dict[str, TensorSpec] | None:
        """Return the input specs of a signature, ``None`` if there is no such signature."""
        bound = self._bound.get(signature)
        return None if bound is None else bound.inputs

    def defaults(self, signature: str) -> Mapping[str, Array]:
        """Return the values of the inputs that a request may leave out."""
        return self._bound[signature].defaults

    def signature_names(self) -> list[str]:
        """List the signatures that will be written."""
        return list(self._bound)

    def run(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the function eagerly, as it was before it was traced."""
        return self._bound[signature].run(inputs)

    def save(self, directory: Path, hasher: Hasher) -> None:
        """Write the traced functions with their variables and tables, then complete their SignatureDefs."""
        import tensorflow as tf

        from tfs_deploy.export.sources.signature_defs import complete
        from tfs_deploy.export.tensorflow.checkpoint_checksum import HeadHasher, save_options
        from tfs_deploy.export.tensorflow.constants import check_room, constant_bytes, release
        from tfs_deploy.export.tensorflow.resources import holder_of

        functions = list(self._concrete.values())
        constants = constant_bytes(functions)
        check_room(constants)
        holder = holder_of(functions, self._resources)
        # in the order in which a checkpoint stores them
        variables = [child for child in tf.train.TrackableView(holder).descendants() if isinstance(child, tf.Variable)]
        head_hasher = HeadHasher(variables)
        hasher.expect(head_hasher)
        tf.saved_model.save(holder, str(directory), signatures=self._concrete, options=save_options(head_hasher))
        release(constants)
        complete(directory, self._bound)

    def close(self) -> None:
        """Do nothing: the caller owns the model."""
