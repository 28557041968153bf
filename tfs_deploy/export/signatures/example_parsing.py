# SPDX-License-Identifier: Apache-2.0
"""The wrapper step that parses serialized tf.Examples in the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.names import did_you_mean
from tfs_deploy.export.signatures.specs import as_spec, dtype_name_of, shape_of
from tfs_deploy.protos.signatures import TensorSpec

if TYPE_CHECKING:
    from tfs_deploy.export.signatures.bound_signature import BoundSignature
    from tfs_deploy.export.signatures.signature import Signature

#: a tf.train.Feature holds float32, int64 or bytes; other dtypes are cast after parsing
_PARSED_AS: Final = {
    **dict.fromkeys(("float16", "bfloat16", "float32", "float64"), "float32"),
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool"), "int64"),
    "string": "string",
}


@dataclass(frozen=True)
class ParseExamples:
    """Parses a batch of serialized tf.Examples into the inputs of the inner signature."""

    features: Mapping[str, Any] | None
    input_name: str

    def input_specs(self) -> Mapping[str, Any] | None:
        """Return the specs of the parsed features, ``None`` if they are those of the wrapped signature."""
        if self.features is None:
            return None
        return {name: _spec(name, feature) for name, feature in self.features.items()}

    def attach(self, inner: BoundSignature, signature: Signature) -> BoundSignature:
        """Return the signature that takes serialized tf.Examples and feeds ``inner`` with their features."""
        del signature
        features = {name: _feature(name, feature) for name, feature in (self.features or inner.inputs).items()}
        for name in inner.inputs:
            if name not in features:
                raise UsageError(
                    f"Signature {inner.name!r}: no feature for the input {name!r}", hint=did_you_mean(name, features)
                )

        def parse(tensors: Mapping[str, Any]) -> dict[str, Any]:
            import tensorflow as tf

            parsed = tf.io.parse_example(tensors[self.input_name], features)
            return {name: _cast(parsed[name], spec) for name, spec in inner.inputs.items()}

        spec = TensorSpec(self.input_name, "string", (None,))
        return inner.wrap({self.input_name: spec}, parse, lambda outputs: outputs)


def _feature(name: str, feature: Any) -> Any:
    """Return what ``tf.io.parse_example`` takes: a feature of its own kind, or one made from a spec."""
    import tensorflow as tf

    if isinstance(
        feature, (tf.io.FixedLenFeature, tf.io.VarLenFeature, tf.io.RaggedFeature, tf.io.FixedLenSequenceFeature)
    ):
        return feature
    spec = feature if isinstance(feature, TensorSpec) else as_spec(name, feature)
    rest = None if spec.shape is None else spec.shape[1:]
    if rest is None or None in rest or spec.dtype not in _PARSED_AS:
        raise UsageError(
            f"Feature {name!r}: {spec} cannot be parsed from a tf.Example without a feature_spec",
            hint="describe it with tf.io.VarLenFeature or tf.io.FixedLenSequenceFeature",
        )
    return tf.io.FixedLenFeature(rest, tf.dtypes.as_dtype(_PARSED_AS[spec.dtype]))


def _spec(name: str, feature: Any) -> TensorSpec:
    """Return the spec of a parsed feature; ragged and sparse ones have no shape, the function gets them as they are."""
    if not hasattr(feature, "_fields"):
        return as_spec(name, feature)
    shape = getattr(feature, "shape", None)
    sizes = None if shape is None else shape_of(shape)
    fixed = type(feature).__name__ == "FixedLenFeature"
    return TensorSpec(name, dtype_name_of(feature.dtype), (None, *sizes) if fixed and sizes is not None else None)


def _cast(value: Any, spec: TensorSpec) -> Any:
    import tensorflow as tf

    return value if value.dtype.name == spec.dtype else tf.cast(value, spec.dtype)
