# SPDX-License-Identifier: Apache-2.0
"""Signatures as plain values: the inputs and outputs that a SignatureDef describes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

#: DataType numbers and the names users know (tensorflow/core/framework/types.proto); reference types are +100
DTYPE_NAMES: Final[dict[int, str]] = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    7: "string",
    8: "complex64",
    9: "int64",
    10: "bool",
    11: "qint8",
    12: "quint8",
    13: "qint32",
    14: "bfloat16",
    15: "qint16",
    16: "quint16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    20: "resource",
    21: "variant",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
    26: "float8_e4m3fnuz",
    27: "float8_e4m3b11fnuz",
    28: "float8_e5m2fnuz",
    29: "int4",
    30: "uint4",
    31: "int2",
    32: "uint2",
    33: "float4_e2m1fn",
}
DTYPE_NUMBERS: Final[dict[str, int]] = {name: number for number, name in DTYPE_NAMES.items()}
#: quantized types are plain integers in memory
QUANTIZED_DTYPES: Final = {
    "qint8": "int8",
    "quint8": "uint8",
    "qint16": "int16",
    "quint16": "uint16",
    "qint32": "int32",
}
#: types that numpy only has through the package ml_dtypes
ML_DTYPES: Final = frozenset(
    {
        *("bfloat16", "float8_e5m2", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz"),
        *("int4", "uint4", "int2", "uint2", "float4_e2m1fn"),
    }
)

PREDICT_METHOD: Final = "tensorflow/serving/predict"
CLASSIFY_METHOD: Final = "tensorflow/serving/classify"
REGRESS_METHOD: Final = "tensorflow/serving/regress"
DEFAULT_SIGNATURE: Final = "serving_default"
#: signatures that TensorFlow writes for itself, which clients do not call
INTERNAL_SIGNATURES: Final = frozenset({"__saved_model_init_op", "__saved_model_train_op"})


def dtype_name(number: int) -> str:
    """Return the name of a DataType number (``1`` -> ``float32``), also for reference types; ``dtype N`` if unknown."""
    return DTYPE_NAMES.get(number - 100 if number > 100 else number, f"dtype {number}")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output: its key, dtype name, shape (``None`` = any size; whole shape ``None`` = any rank).

    ``composite``: ``ragged`` or ``sparse`` for what is no dense tensor; no server can feed or fetch it.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    tensor: str = ""
    composite: str = ""

    def __str__(self) -> str:
        shape = "[...]" if self.shape is None else str(["?" if size is None else size for size in self.shape])
        return f"{self.composite} {self.dtype} {shape}".strip().replace("'", "")


@dataclass(frozen=True, slots=True)
class SignatureInfo:
    """One signature: its name, the method it serves, its inputs and outputs by key, sorted.

    ``defaults`` are the inputs that a request may leave out (the SignatureDef holds a value for them).
    """

    name: str
    method: str
    inputs: dict[str, TensorSpec] = field(default_factory=dict)
    outputs: dict[str, TensorSpec] = field(default_factory=dict)
    defaults: frozenset[str] = frozenset()

    def __str__(self) -> str:
        """Return for example ``serving_default(x: float32 [?]) -> y: float32 [?]``."""
        inputs, outputs = (
            ", ".join(f"{name}: {spec}" for name, spec in specs.items()) for specs in (self.inputs, self.outputs)
        )
        return f"{self.name}({inputs}) -> {outputs}"


def _tensor_spec(name: str, info: Any) -> TensorSpec:
    # no shape at all says no more than an unknown rank
    known = info.HasField("tensor_shape") and not info.tensor_shape.unknown_rank
    shape = tuple(d.size if d.size >= 0 else None for d in info.tensor_shape.dim) if known else None
    encoding = info.WhichOneof("encoding")
    if encoding == "composite_tensor":
        kind = info.composite_tensor.type_spec.type_spec_class_name.removesuffix("TensorSpec").lower()
        first = info.composite_tensor.components[:1]
        dtype = dtype_name(first[0].dtype if first else info.dtype)
        return TensorSpec(name, dtype, shape, "", kind or "composite")
    return TensorSpec(name, dtype_name(info.dtype), shape, info.name, "sparse" if encoding == "coo_sparse" else "")


def signature_info(name: str, definition: Any) -> SignatureInfo:
    """Read a SignatureDef message (ours or TensorFlow's own)."""
    return SignatureInfo(
        name=name,
        method=definition.method_name,
        inputs={key: _tensor_spec(key, definition.inputs[key]) for key in sorted(definition.inputs)},
        outputs={key: _tensor_spec(key, definition.outputs[key]) for key in sorted(definition.outputs)},
        # TensorFlow's own classes have the field since 2.14
        defaults=frozenset(getattr(definition, "defaults", ())),
    )


def signature_infos(definitions: Any) -> dict[str, SignatureInfo]:
    """Read a map of SignatureDefs, sorted by name, without those that TensorFlow writes for itself."""
    return {
        name: signature_info(name, definitions[name]) for name in sorted(definitions) if name not in INTERNAL_SIGNATURES
    }


def argument_name(name: str) -> str:
    """Return what TensorFlow calls an input as an argument of a function (function_type.py, sanitize_arg_name)."""
    swapped = "".join(letter if letter.isalnum() else "_" for letter in name)
    return swapped if swapped[:1].isalpha() else f"arg_{swapped}"
