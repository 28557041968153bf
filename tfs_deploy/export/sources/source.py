"""What the exporter needs of a source: it can be saved, and run as the original."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy as np

    from tfs_deploy.export.signatures.bound_signature import BoundSignature
    from tfs_deploy.export.tensorflow.hashing import Hasher
    from tfs_deploy.protos.signatures import TensorSpec

    Array = np.ndarray[Any, Any]


class Source(Protocol):
    """A model that is ready to be written."""

    def inputs(self, signature: str) -> dict[str, TensorSpec] | None:
        """Return the input specs of a signature, ``None`` if there is no such signature."""

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
        self._bound = {signature.name: signature for signature in bound}
        self._concrete = {name: signature.trace() for name, signature in self._bound.items()}

    def inputs(self, signature: str) -> dict[str, TensorSpec] | None:
        """Return the input specs of a signature, ``None`` if there is no such signature."""
        bound = self._bound.get(signature)
        return None if bound is None else bound.inputs

    def signature_names(self) -> list[str]:
        """List the signatures that will be written."""
        return list(self._bound)

    def run(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Run the function eagerly, as it was before it was traced."""
        return self._bound[signature].run(inputs)

    def save(self, directory: Path, hasher: Hasher) -> None:
        """Write the traced functions with their variables and tables, then set the method names."""
        import tensorflow as tf

        from tfs_deploy.export.sources.signature_defs import set_methods
        from tfs_deploy.export.tensorflow.checkpoint_checksum import HeadHasher, save_options
        from tfs_deploy.export.tensorflow.resources import holder_of

        holder = holder_of(list(self._concrete.values()), self._resources)
        # in the order in which a checkpoint stores them
        variables = [child for child in tf.train.TrackableView(holder).descendants() if isinstance(child, tf.Variable)]
        head_hasher = HeadHasher(variables)
        hasher.expect(head_hasher)
        tf.saved_model.save(holder, str(directory), signatures=self._concrete, options=save_options(head_hasher))
        set_methods(directory, {name: bound.method for name, bound in self._bound.items()})

    def close(self) -> None:
        """Do nothing: the caller owns the model."""
