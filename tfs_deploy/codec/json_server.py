"""The server's side of REST predict: request bodies to arrays, arrays to reply bodies (util/json_tensor.cc).

Both directions have a fast path over whole arrays. Whatever it cannot prove right goes through a second path that
looks at one value after another, as the server does, and knows its errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, TYPE_CHECKING

import numpy as np
import orjson

from tfs_deploy.codec.json_tensor import fill_columns, fill_rows
from tfs_deploy.codec.json_text import parse_json, print_json
from tfs_deploy.errors import InvalidArgumentError

if TYPE_CHECKING:
    from tfs_deploy.protos.signatures import TensorSpec
    from collections.abc import Mapping

Array = np.ndarray[Any, Any]
Format = Literal["row", "column"]

_INSTANCES: Final = "instances"
_INPUTS: Final = "inputs"
_SIGNATURE: Final = "signature_name"
_FLOATS: Final = frozenset({"float32", "float64"})
_INTEGERS: Final = {
    "int8": (-(2**31), 2**31 - 1),
    "int16": (-(2**31), 2**31 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "uint8": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
    "uint32": (0, 2**32 - 1),
    "uint64": (0, 2**64 - 1),
}


@dataclass(frozen=True, slots=True)
class PredictBody:
    """A parsed request body; ``inputs`` follow once the signature's specs are known (``read_inputs``)."""

    document: dict[str, Any]
    signature: str
    quick: bool
    data: bytes


def parse_predict_body(data: bytes) -> PredictBody:
    """Parse a request body and take its ``signature_name``.

    Raises:
        InvalidArgumentError: with the server's text.
    """
    document, quick = _load(data)
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"JSON Value: {print_json(document)} Is not object")
    signature = document.get(_SIGNATURE, "")
    if not isinstance(signature, str):
        raise InvalidArgumentError(
            f"JSON Value: {print_json(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return PredictBody(document, signature, quick, data)


def _load(data: bytes) -> tuple[Any, bool]:
    """Parse; the flag says whether the fast parser did and no key of the format appears twice."""
    if data and all(data.count(key) < 2 for key in (b'"instances"', b'"inputs"', b'"signature_name"')):
        try:
            return orjson.loads(data), True
        except orjson.JSONDecodeError:
            pass
    return parse_json(data), False


def read_inputs(body: PredictBody, specs: Mapping[str, TensorSpec]) -> tuple[dict[str, Array], Format]:
    """Turn a body's ``instances`` or ``inputs`` into arrays.

    Args:
        body: of the request.
        specs: the signature's inputs; dtypes count, shapes are not checked (the server does not either).

    Raises:
        InvalidArgumentError: with the server's text.
    """
    document = body.document
    if not specs:
        raise InvalidArgumentError(f"Failed to get input map for signature: {body.signature or 'DEFAULT'}")
    if _INSTANCES in document and _INPUTS in document:
        raise InvalidArgumentError(
            f"JSON Value: {print_json(document)} Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist "
        )
    if _INSTANCES in document:
        return _read_rows(body, specs), "row"
    if _INPUTS in document:
        inputs = document[_INPUTS]
        quick = _quick_columns(body, inputs, specs) if body.quick else None
        return quick or fill_columns(_exact(body)[_INPUTS], specs), "column"
    raise InvalidArgumentError("Missing 'inputs' or 'instances' key")


def _exact(body: PredictBody) -> dict[str, Any]:
    """Return the document as the exact parser reads it: big integers become floats, first of equal keys counts."""
    if not body.quick:
        return body.document
    document: dict[str, Any] = parse_json(body.data)
    return document


def _read_rows(body: PredictBody, specs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    rows = body.document[_INSTANCES]
    if not isinstance(rows, list):
        raise InvalidArgumentError(f"JSON Value: {print_json(_exact(body))} Expecting 'instances' to be an list/array")
    if not rows:
        raise InvalidArgumentError(f"JSON Value: {print_json(_exact(body))} No values in 'instances' array")
    quick = _quick_rows(body, rows, specs) if body.quick else None
    return quick or fill_rows(_exact(body)[_INSTANCES], specs)


def _quick_rows(body: PredictBody, rows: list[Any], specs: Mapping[str, TensorSpec]) -> dict[str, Array] | None:
    if isinstance(rows[0], dict):
        names = specs.keys()
        if any(body.data.count(b'"%b"' % name.encode()) != len(rows) for name in names):
            return None
        if not all(isinstance(row, dict) and row.keys() == names for row in rows):
            return None
        columns = {name: _quick_array([row[name] for row in rows], spec, body) for name, spec in specs.items()}
        return None if any(column is None for column in columns.values()) else columns  # type: ignore[return-value]
    if len(specs) != 1:
        return None
    ((name, spec),) = specs.items()
    array = _quick_array(rows, spec, body)
    return None if array is None else {name: array}


def _quick_columns(body: PredictBody, inputs: Any, specs: Mapping[str, TensorSpec]) -> dict[str, Array] | None:
    if not isinstance(inputs, dict):
        if len(specs) != 1:
            return None
        ((name, spec),) = specs.items()
        array = _quick_array(inputs, spec, body)
        return None if array is None else {name: array}
    if not specs.keys() <= inputs.keys() or any(body.data.count(b'"%b"' % name.encode()) != 1 for name in specs):
        return None
    columns = {name: _quick_array(inputs[name], spec, body) for name, spec in specs.items()}
    return None if any(column is None for column in columns.values()) else columns  # type: ignore[return-value]


def _quick_array(value: Any, spec: TensorSpec, body: PredictBody) -> Array | None:
    """Make an array at once, or return ``None`` if a value might need a closer look."""
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return None
    kind = array.dtype.kind
    if spec.dtype in _FLOATS and kind in "fiu" and not _has_words(body.data):
        with np.errstate(over="ignore"):
            out: Array = array.astype(spec.dtype)
        return out if kind != "f" or np.isfinite(array).all() else None
    if spec.dtype in _INTEGERS and kind in "iu" and not _has_words(body.data):
        lowest, highest = _INTEGERS[spec.dtype]
        if array.size and (int(array.min()) < lowest or int(array.max()) > highest):
            return None
        return array.astype(spec.dtype)
    if spec.dtype == "bool" and kind == "b":
        return array
    if spec.dtype == "string" and kind == "U" and not body.data.count(b"\\u0000"):
        return _text_array(value, array.shape)
    return None


def _has_words(data: bytes) -> bool:
    """Whether true or false occur: numpy would silently make numbers of them."""
    return b"true" in data or b"false" in data


def _text_array(value: Any, shape: tuple[int, ...]) -> Array | None:
    out = np.empty(shape, object)
    try:
        out[...] = value
    except ValueError:
        return None
    flat = out.reshape(-1)
    for index, item in enumerate(flat.tolist()):
        if not isinstance(item, str):
            return None
        flat[index] = item.encode()
    return out


# Replies


def encode_predictions(outputs: Mapping[str, Array], form: Format) -> bytes:
    """Write the body of a predict reply: ``predictions`` (row) or ``outputs`` (column).

    Raises:
        InvalidArgumentError: an output has no batch dimension, or a dtype that JSON replies do not know.
    """
    if not outputs:
        raise InvalidArgumentError("Cannot convert empty tensor map to JSON")
    if form == "row":
        size = _batch_size(outputs)
        if len(outputs) > 1:
            columns = [_Column(name, array) for name, array in outputs.items()]
            rows = (b"{%b}" % b",".join(column.member(index) for column in columns) for index in range(size))
            return b'{"predictions": [%b]}' % b",".join(rows)
        ((name, array),) = outputs.items()
        return b'{"predictions": %b}' % dump_array(name, array)
    if len(outputs) > 1:
        members = b",".join(b"%b:%b" % (orjson.dumps(name), dump_array(name, array)) for name, array in outputs.items())
        return b'{"outputs": {%b}}' % members
    ((name, array),) = outputs.items()
    return b'{"outputs": %b}' % dump_array(name, array)


def _batch_size(outputs: Mapping[str, Array]) -> int:
    size = 0
    for name, array in outputs.items():
        if array.ndim == 0:
            raise InvalidArgumentError(f"Tensor name: {name} has no shape information ")
        if array.shape[0] < 1:
            raise InvalidArgumentError(f"Tensor name: {name} has invalid batch size: {array.shape[0]}")
        if size not in (0, array.shape[0]):
            raise InvalidArgumentError(
                f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} expecting: {size}"
            )
        size = array.shape[0]
    return size


class _Column:
    """One output of a reply with several, cut into rows."""

    def __init__(self, name: str, array: Array) -> None:
        self._key = orjson.dumps(name)
        self._rows = dump_rows(name, array)

    def member(self, index: int) -> bytes:
        return b"%b:%b" % (self._key, self._rows[index])


def dump_rows(name: str, array: Array) -> list[bytes]:
    """Write each row of an array."""
    if array.ndim == 1 and array.dtype.kind in "biuf":
        # one scalar per row: numbers hold no commas
        return dump_array(name, array)[1:-1].split(b",")
    return [dump_array(name, row) for row in array]


def dump_array(name: str, array: Array) -> bytes:
    """Write an array as nested lists; strings of outputs named ``*_bytes`` as ``{"b64": ...}``."""
    kind = array.dtype.kind
    if kind == "O":
        return _dump_strings(array, as_bytes=name.endswith("_bytes"))
    if array.dtype in (np.float32, np.float64):
        return _dump_floats(array)
    if kind == "b" or (kind in "iu" and array.dtype != np.uint16):
        return orjson.dumps(array.tolist())
    raise InvalidArgumentError(f"Failed to write JSON value for tensor type: {_type_name(array.dtype)}")


def _type_name(dtype: np.dtype[Any]) -> str:
    return {"float16": "half"}.get(dtype.name, dtype.name)


def _dump_floats(array: Array) -> bytes:
    values = np.asarray(decimal_values(array))
    if np.isfinite(values).all():
        return (
            orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)
            if values.ndim
            else (orjson.dumps(float(values)))
        )
    return _dump_nested(values.tolist())


def _dump_nested(value: Any) -> bytes:
    if isinstance(value, list):
        return b"[%b]" % b",".join(_dump_nested(item) for item in value)
    if math.isfinite(value):
        return orjson.dumps(value)
    return b"NaN" if math.isnan(value) else b"-Infinity" if value < 0 else b"Infinity"


def decimal_values(array: Array) -> Array:
    """Round to the decimals that the server writes, as float64: six digits where they are enough, else nine.

    float64 values keep all their digits unless six are enough, so those are returned as they are.
    """
    wide = array.astype(np.float64)
    if array.dtype == np.float64:
        return wide
    six = _round_to(wide, 6)
    with np.errstate(over="ignore", invalid="ignore"):
        enough = six.astype(np.float32) == array
    return np.where(enough, six, _round_to(wide, 9))


_POWERS: Final = 10.0 ** np.arange(0, 309)


def _round_to(values: Array, digits: int) -> Array:
    """Round to a number of significant decimal digits; correctly, as division and rint are exact here."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        exponent = np.floor(np.log10(np.abs(values)))
        exponent = np.where(np.isfinite(exponent), exponent, 0).astype(np.int64)
        shift = np.clip(digits - 1 - exponent, -300, 300)
        up = _POWERS[np.maximum(shift, 0)]
        down = _POWERS[np.maximum(-shift, 0)]
        rounded: Array = np.rint(values * up / down) / up * down
    return np.where(np.isfinite(rounded), rounded, values)


def _dump_strings(array: Array, *, as_bytes: bool) -> bytes:
    import base64

    def encode(item: Any) -> bytes:
        if isinstance(item, list):
            return b"[%b]" % b",".join(map(encode, item))
        if as_bytes:
            return b'{"b64": "%b"}' % base64.b64encode(item)
        try:
            return orjson.dumps(item.decode())
        except UnicodeDecodeError:
            # not valid JSON, but the server writes such bytes as they are
            return print_json(item.decode("utf-8", "surrogateescape"), 1).encode("utf-8", "surrogateescape")

    return encode(array.tolist())
