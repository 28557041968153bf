# SPDX-License-Identifier: Apache-2.0
"""tf.Examples from plain values, without TensorFlow, and what Classify and Regress answer.

Features become what tensorflow/core/example/feature.proto knows: floats a FloatList, integers and booleans an
Int64List, text and bytes a BytesList.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from tfs_deploy import protos
from tfs_deploy.codec.arrays import as_array
from tfs_deploy.errors import RequestError

#: name -> value, list or array; a serialized tf.Example; or a message of that type, also of TensorFlow's own class
ExampleLike: TypeAlias = "Mapping[str, Any] | bytes | Any"
Features: TypeAlias = dict[str, "list[float] | list[int] | list[bytes]"]

_EXAMPLE: Final = "tensorflow.Example"
_INT64: Final = np.iinfo(np.int64)
_HINT: Final = 'give a mapping such as {"age": 41, "name": "x", "scores": [0.5, 1.0]}, or a serialized tf.Example'


def examples_input(examples: Iterable[ExampleLike], context: ExampleLike | None = None) -> Any:
    """Return an ``Input`` message (tensorflow_serving/apis/input.proto) of the examples.

    Raises:
        RequestError: an example or a feature is not valid; the message names it.
    """
    message = protos.Input()
    target = message.example_list
    if context is not None:
        target = message.example_list_with_context
        target.context.CopyFrom(_example(context, "the context"))
    for index, example in enumerate(_listed(examples)):
        target.examples.add().CopyFrom(_example(example, f"example {index}"))
    if not target.examples:
        raise RequestError("there are no examples", hint="give at least one")
    return message


def examples_features(examples: Iterable[ExampleLike]) -> list[Features]:
    """Return the features of examples as plain lists; what the REST API takes."""
    listed = [_features(_example(example, f"example {index}")) for index, example in enumerate(_listed(examples))]
    if not listed:
        raise RequestError("there are no examples", hint="give at least one")
    return listed


def context_features(context: ExampleLike) -> Features:
    """Return the features of a context as plain lists."""
    return _features(_example(context, "the context"))


def _listed(examples: Any) -> list[Any]:
    if isinstance(examples, (Mapping, bytes, str)) or not isinstance(examples, Iterable):
        raise RequestError(
            f"the examples must be a list, not {type(examples).__name__}", hint="give a list of examples"
        )
    return list(examples)


def _example(value: Any, what: str) -> Any:
    if isinstance(value, Mapping):
        example = protos.Example()
        for name, feature in value.items():
            _fill(example.features.feature[name], feature, f"{what}, feature {name}")
        return example
    if getattr(getattr(value, "DESCRIPTOR", None), "full_name", "") == _EXAMPLE:
        value = value.SerializeToString()
    if not isinstance(value, bytes):
        raise RequestError(f"{what} is of type {type(value).__name__}", hint=_HINT)
    from google.protobuf.message import DecodeError

    try:
        return protos.Example.FromString(value)
    except DecodeError as error:
        raise RequestError(f"{what} is not a serialized tf.Example: {error}", hint=_HINT) from error


def _fill(feature: Any, value: Any, what: str) -> None:
    try:
        array = as_array(value)
    except RequestError as error:
        raise RequestError(f"{what}: {error.message}", hint=error.hint) from error
    if array.ndim > 1:
        raise RequestError(f"{what} has the shape {list(array.shape)}", hint="features are flat: use .ravel()")
    values = array.ravel()
    if not values.size:
        return
    if values.dtype.kind in "biu":
        if values.dtype == np.uint64 and int(values.max()) > _INT64.max:
            raise RequestError(f"{what}: {int(values.max())} does not fit int64", hint="give it as text or float")
        feature.int64_list.value.extend(values.tolist())
    elif values.dtype.kind in "OSUT":
        feature.bytes_list.value.extend(_bytes(item, what) for item in values.tolist())
    elif values.dtype.kind in "fV":
        feature.float_list.value.extend(values.astype(np.float32).tolist())
    else:
        raise RequestError(f"{what} is {values.dtype.name}", hint="features are floats, integers, text or bytes")


def _bytes(item: Any, what: str) -> bytes:
    if isinstance(item, str):
        return item.encode()
    if isinstance(item, bytes):
        return item
    raise RequestError(f"{what} holds a {type(item).__name__}", hint="features are floats, integers, text or bytes")


def _features(example: Any) -> Features:
    features: Features = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        features[name] = list(getattr(feature, kind).value) if kind is not None else []
    return features


def serialized(examples: Sequence[ExampleLike]) -> list[bytes]:
    """Return examples as bytes: the input of signatures that parse tf.Examples and are called with Predict."""
    return [
        _example(example, f"example {index}").SerializeToString() for index, example in enumerate(_listed(examples))
    ]
