# SPDX-License-Identifier: Apache-2.0
"""Predict over REST as a client sees it: arrays to a JSON body, a JSON reply to arrays (g3doc/api_rest.md).

The columnar form (``inputs``/``outputs``) is used throughout: it needs no common batch dimension. NaN and infinities
travel as the bare tokens ``NaN``, ``Infinity``, ``-Infinity``, which the server reads and writes.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.codec.arrays import as_array, integer_array, wire_order
from tfs_deploy.codec.dtypes import dtype_number, numpy_dtype
from tfs_deploy.codec.json.pieces import LargeList, LargeObject, parse_large
from tfs_deploy.errors import DataLossError, InvalidArgumentError, RequestError
from tfs_deploy.extras import import_extra
from tfs_deploy.protos.signatures import dtype_name
from tfs_deploy.text import parse_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from tfs_deploy.protos.signatures import TensorSpec

#: bytes of a reply from which on it is read in pieces
_LARGE: Final = 1 << 20
#: util/json_tensor.cc: what the server's JSON reader and writer know
JSON_DTYPES: Final = frozenset(
    ("float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint32", "uint64", "bool")
)


def encode_predict_body(inputs: Mapping[str, Any], *, signature: str | None = None) -> bytes:
    """Write the body of a ``:predict`` request; ``bytes`` elements become ``{"b64": ...}``.

    Raises:
        RequestError: a dtype that the REST API lacks (half, bfloat16, uint16, complex), or a shape that nested lists
            cannot tell, such as [0, 3].
    """
    orjson = import_extra("orjson", "rest")
    parts = [b"{"]
    if signature:
        parts += (b'"signature_name":', orjson.dumps(signature), b",")
    parts.append(b'"inputs":{')
    for index, (name, value) in enumerate(inputs.items()):
        if index:
            parts.append(b",")
        parts += (orjson.dumps(name), b":", _tensor(orjson, name, as_array(value)))
    parts.append(b"}}")
    return b"".join(parts)


def decode_predict_body(data: bytes, outputs: Mapping[str, TensorSpec]) -> dict[str, NDArray[Any]]:
    """Read the reply to a columnar ``:predict`` request.

    Args:
        data: the body of the reply.
        outputs: the signature's outputs: they tell names and dtypes, which JSON lacks. A single output comes bare.

    Raises:
        DataLossError: the body is not such a reply.
    """
    body = parse_json(data) if len(data) < _LARGE else _in_pieces(data)
    if not isinstance(body, dict) or "outputs" not in body:
        raise DataLossError("the reply to predict has no 'outputs'")
    values = body["outputs"]
    values = values.first() if isinstance(values, LargeObject) else values
    if len(outputs) == 1:
        values = {next(iter(outputs)): values}
    if not isinstance(values, dict) or not values.keys() <= outputs.keys():
        raise DataLossError(f"the reply's outputs are not those of the signature: {', '.join(outputs)}")
    return {name: _read_tensor(name, value, outputs[name]) for name, value in values.items()}


def parse_json(data: bytes) -> Any:
    """Parse JSON as the server writes it: bare NaN and Infinity, bytes in strings that are not UTF-8.

    Raises:
        DataLossError: it is not JSON.
    """
    orjson = import_extra("orjson", "rest")
    try:
        return orjson.loads(data)
    except ValueError:
        try:
            return parse_document(data.decode("utf-8", "surrogateescape"))
        except ValueError as error:
            raise DataLossError(f"the reply is not JSON: {error}") from error


def _tensor(orjson: Any, name: str, array: NDArray[Any]) -> bytes:
    array = wire_order(array)
    if 0 in array.shape[:-1]:
        raise RequestError(
            f"input {name} has the shape {list(array.shape)}, which JSON lists cannot express",
            hint="send empty batches over gRPC",
        )
    if array.dtype.kind in "OSUT":
        return _strings(orjson, name, array)
    dtype = dtype_name(dtype_number(array.dtype))
    if dtype not in JSON_DTYPES:
        raise RequestError(f"input {name} is {dtype}, which the REST API cannot carry", hint="use the gRPC client")
    if not array.ndim or (array.dtype.kind == "f" and not np.isfinite(array).all()):
        return json.dumps(array.tolist()).encode()
    data: bytes = orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
    return data


def _strings(orjson: Any, name: str, array: NDArray[Any]) -> bytes:
    try:
        data: bytes = orjson.dumps(array.tolist(), default=_bytes_element)
    except TypeError as error:
        raise RequestError(
            f"input {name} holds an element that is neither text nor bytes: {error}",
            hint="a string tensor holds str and bytes",
        ) from error
    return data


def _bytes_element(value: Any) -> dict[str, str]:
    if not isinstance(value, bytes):
        raise TypeError(type(value).__name__)
    return {"b64": base64.b64encode(value).decode()}


def _in_pieces(data: bytes) -> Any:
    """Parse a large reply in pieces, so that other threads run."""
    try:
        found = parse_large(data, lambda: None)
    except InvalidArgumentError as error:
        raise DataLossError(f"the reply is not JSON: {error.message}") from error
    return found.first() if isinstance(found, LargeObject) else found


def _read_part(name: str, part: Any, spec: TensorSpec) -> NDArray[Any]:
    """Read some elements of a large list."""
    if isinstance(part, bytes):
        return _read_tensor(name, parse_json(b"[%b]" % part), spec)
    return _read_tensor(name, part.first() if isinstance(part, LargeObject) else part, spec)[np.newaxis]


def _read_tensor(name: str, value: Any, spec: TensorSpec) -> NDArray[Any]:
    dtype = numpy_dtype(spec.dtype)
    try:
        if isinstance(value, LargeList):
            array = np.concatenate([_read_part(name, part, spec) for part in value.parts])
            array.flags.writeable = False
            return array
        array = integer_array(value, dtype) if dtype.kind in "iu" else np.array(value, dtype)
        if dtype.kind == "O":
            array = _read_strings(array)
    except (TypeError, ValueError, OverflowError, binascii.Error) as error:
        raise DataLossError(f"output {name} of the reply is not {spec}: {error}") from error
    if not array.size and spec.shape is not None and len(spec.shape) > array.ndim:
        array = _empty(spec.shape, array)
    array.flags.writeable = False
    return array


def _empty(shape: tuple[int | None, ...], array: NDArray[Any]) -> NDArray[Any]:
    """Give an empty list the dimensions that it cannot express, where the signature knows them."""
    rest = shape[array.ndim :]
    return array.reshape(array.shape + tuple(size for size in rest if size)) if None not in rest else array


def _read_strings(array: NDArray[Any]) -> NDArray[Any]:
    flat = np.empty(array.size, object)
    for index, item in enumerate(array.ravel().tolist()):
        flat[index] = _read_string(item)
    return flat.reshape(array.shape)


def _read_string(item: Any) -> bytes:
    if isinstance(item, str):
        return item.encode("utf-8", "surrogateescape")
    if isinstance(item, dict) and isinstance(item.get("b64"), str):
        return base64.b64decode(item["b64"])
    raise ValueError(f"{type(item).__name__} is not a string")
