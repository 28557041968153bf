# SPDX-License-Identifier: Apache-2.0
"""The wrapper step that decodes and resizes encoded images in the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import did_you_mean
from tfs_deploy.protos.signatures import TensorSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.export.signatures.bound_signature import BoundSignature
    from tfs_deploy.export.signatures.signature import Signature


@dataclass(frozen=True)
class DecodeImages:
    """Decodes a batch of encoded images into one input of the inner signature; its other inputs stay."""

    size: tuple[int, int]
    channels: int
    input_name: str
    image_input: str | None
    scale: float
    offset: float
    method: str

    def input_specs(self) -> Mapping[str, Any] | None:
        """Return the spec of the decoded images under the name that the wrapped function shall take them by."""
        if self.image_input is None:
            return None
        return {self.image_input: ("float32", (None, *self.size, self.channels))}

    def attach(self, inner: BoundSignature, signature: Signature) -> BoundSignature:
        """Return the signature that takes encoded images instead of the image input of ``inner``."""
        del signature
        target = self._target(inner)
        spec = inner.inputs[target]

        def decode(tensors: Mapping[str, Any]) -> dict[str, Any]:
            import tensorflow as tf

            images = tf.map_fn(
                lambda data: self._decode_one(data, spec),
                tensors[self.input_name],
                fn_output_signature=tf.TensorSpec(self._shape(spec), spec.dtype),
            )
            rest = {name: tensors[name] for name in inner.inputs if name != target}
            return {target: images, **rest}

        inputs = {
            self.input_name if name == target else name: (
                TensorSpec(self.input_name, "string", (None,)) if name == target else other
            )
            for name, other in inner.inputs.items()
        }
        return inner.wrap(inputs, decode, lambda outputs: outputs)

    def _target(self, inner: BoundSignature) -> str:
        if self.image_input is not None:
            if self.image_input not in inner.inputs:
                raise UsageError(
                    f"Signature {inner.name!r}: unknown input {self.image_input!r} for the images",
                    hint=did_you_mean(self.image_input, inner.inputs),
                )
            return self.image_input
        if len(inner.inputs) == 1:
            return next(iter(inner.inputs))
        raise UsageError(
            f"Signature {inner.name!r}: several inputs could take the images: {', '.join(inner.inputs)}",
            hint="from_image_bytes(..., image_input='image')",
        )

    def _shape(self, spec: TensorSpec) -> tuple[int, ...]:
        """Return the shape of one image; a model of gray images may take them without a dimension for channels."""
        flat = self.channels == 1 and spec.shape is not None and len(spec.shape) == 3
        return self.size if flat else (*self.size, self.channels)

    def _decode_one(self, data: Any, spec: TensorSpec) -> Any:
        import tensorflow as tf

        pixels = tf.io.decode_image(data, channels=self.channels, expand_animations=False)
        resized = tf.image.resize(tf.cast(pixels, tf.float32), self.size, method=self.method)
        if tf.dtypes.as_dtype(spec.dtype).is_integer:
            return tf.reshape(tf.cast(tf.round(resized), spec.dtype), self._shape(spec))
        return tf.reshape(tf.cast(resized * self.scale + self.offset, spec.dtype), self._shape(spec))
