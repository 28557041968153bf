# SPDX-License-Identifier: Apache-2.0
"""The server's side of REST predict: arrays to reply bodies (util/json_tensor.cc).

Parsed, the numbers are those that the server writes; white space differs.
"""

from __future__ import annotations

import base64
import math
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import orjson

from tfs_deploy.codec.dtypes import dtype_number
from tfs_deploy.codec.json.tensors import TYPE_NAMES
from tfs_deploy.codec.json.text import decimal_text, quote
from tfs_deploy.errors import InvalidArgumentError
from tfs_deploy.protos.signatures import dtype_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Array = np.ndarray[Any, Any]
Format = Literal["row", "column"]

_BYTES_SUFFIX: Final = "_bytes"
#: elements that are written in one call
_PIECE: Final = 1 << 16
_POWERS: Final = 10.0 ** np.arange(0, 23)
#: powers of ten up to this one are exact in float64, so that scaling by them rounds correctly
_EXACT_POWER: Final = 22
_SMALLEST: Final = np.finfo(np.float32).smallest_normal


def encode_predictions(outputs: Mapping[str, Array], form: Format) -> bytes:
    """Write the body of a predict reply: ``predictions`` (row) or ``outputs`` (column).

    Raises:
        InvalidArgumentError: an output has no batch dimension, or a dtype that JSON replies do not know.
    """
    if not outputs:
        raise InvalidArgumentError("Cannot convert empty tensor map to JSON")
    if form == "column":
        return b'{"outputs": %b}' % _columns(outputs)
    _check_batch(outputs)
    if len(outputs) == 1:
        return b'{"predictions": %b}' % _columns(outputs)
    return b'{"predictions": [%b]}' % b",".join(
        _rows({name: array[rows] for name, array in outputs.items()}) for rows in _pieces(*outputs.values())
    )


def _pieces(*arrays: Array) -> Iterator[slice]:
    """Yield rows that are written in one call, in which no other thread runs."""
    count = len(arrays[0])
    step = max(1, count * _PIECE // max(1, sum(array.size for array in arrays)))
    for start in range(0, max(count, 1), step):
        yield slice(start, start + step)


def _rows(outputs: Mapping[str, Array]) -> bytes:
    """Write rows as objects, without the brackets around them."""
    columns = [_plain(name, array) for name, array in outputs.items()]
    if all(column is not None for column in columns):
        rows = [dict(zip(outputs, row, strict=True)) for row in zip(*columns, strict=True)]
        return orjson.dumps(rows)[1:-1]
    written = [_written_rows(name, array) for name, array in outputs.items()]
    return b",".join(b"{%b}" % b",".join(row) for row in zip(*written, strict=True))


def _check_batch(outputs: Mapping[str, Array]) -> None:
    size = -1
    for name, array in outputs.items():
        if array.ndim == 0:
            raise InvalidArgumentError(f"Tensor name: {name} has no shape information ")
        if size not in (-1, array.shape[0]):
            raise InvalidArgumentError(
                f"Tensor name: {name} has inconsistent batch size: {array.shape[0]} expecting: {size}"
            )
        size = array.shape[0]


def _columns(outputs: Mapping[str, Array]) -> bytes:
    if len(outputs) == 1:
        ((name, array),) = outputs.items()
        return dump_array(name, array)
    return b"{%b}" % b",".join(
        b"%b:%b" % (orjson.dumps(name), dump_array(name, array)) for name, array in outputs.items()
    )


def _written_rows(name: str, array: Array) -> list[bytes]:
    key = orjson.dumps(name)
    return [b"%b:%b" % (key, _write(item, name)) for item in _values(array)]


def dump_array(name: str, array: Array) -> bytes:
    """Write an array as nested lists; strings of outputs named ``*_bytes`` as ``{"b64": ...}``."""
    if array.size > _PIECE and array.ndim:
        if len(array) == 1:
            return b"[%b]" % dump_array(name, array[0])
        return b"[%b]" % b",".join(dump_array(name, array[rows])[1:-1] for rows in _pieces(array))
    if array.dtype in (np.float32, np.float64):
        values = decimal_values(array)
        if np.isfinite(values).all():
            whole = np.ascontiguousarray(values) if values.ndim else float(values)
            return orjson.dumps(whole, option=orjson.OPT_SERIALIZE_NUMPY)
        return _write(values.tolist(), name)
    plain = _plain(name, array)
    return _write(_values(array), name) if plain is None else orjson.dumps(plain)


def _plain(name: str, array: Array) -> Any:
    """Return nested lists that any JSON writer writes as the server does, ``None`` where no such lists exist."""
    if array.dtype.kind == "O":
        try:
            return _each(_values(array), _b64 if name.endswith(_BYTES_SUFFIX) else bytes.decode)
        except UnicodeDecodeError:
            return None
    values = _values(array)
    return values if array.dtype.kind != "f" or np.isfinite(array).all() else None


def _values(array: Array) -> Any:
    if array.dtype in (np.float32, np.float64):
        return decimal_values(array).tolist()
    if array.dtype.kind in "biuO" and array.dtype != np.uint16:
        return array.tolist()
    name = dtype_name(dtype_number(array.dtype))
    raise InvalidArgumentError(f"Failed to write JSON value for tensor type: {TYPE_NAMES.get(name, name)}")


def _each(value: Any, convert: Any) -> Any:
    return [_each(item, convert) for item in value] if isinstance(value, list) else convert(value)


def _b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def _write(value: Any, name: str) -> bytes:
    """Write what plain JSON cannot: NaN, infinities, and bytes that are not UTF-8 (as they are)."""
    if isinstance(value, list):
        return b"[%b]" % b",".join(_write(item, name) for item in value)
    if isinstance(value, float) and not math.isfinite(value):
        return decimal_text(value).encode()
    if isinstance(value, bytes):
        if name.endswith(_BYTES_SUFFIX):
            return orjson.dumps(_b64(value))
        return quote(value.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    return orjson.dumps(value)


def decimal_values(array: Array) -> Array:
    """Return the decimals that the server writes, as float64.

    float32 values get six significant digits where these are enough to tell them apart, else nine; subnormal ones
    are zero, as the server's threads flush them. float64 values keep all digits, which reads back the same.
    """
    if array.dtype == np.float64:
        return array
    with np.errstate(all="ignore"):
        wide = np.where(np.abs(array) < _SMALLEST, np.copysign(np.float32(0), array), array).astype(np.float64)
        six = _round(wide, 6)
        return np.where(six.astype(np.float32) == array, six, _round(wide, 9))


def _round(values: Array, digits: int) -> Array:
    """Round to significant decimal digits: rint and division are exact within the powers used."""
    exponent = np.floor(np.log10(np.abs(values)))
    exponent = np.where(np.isfinite(exponent), exponent, 0).astype(np.int64)
    shift = digits - 1 - exponent
    up = _POWERS[np.clip(shift, 0, _EXACT_POWER)]
    down = _POWERS[np.clip(-shift, 0, _EXACT_POWER)]
    rounded: Array = np.asarray(np.rint(values * up / down) / up * down)
    far = np.asarray(np.abs(shift) > _EXACT_POWER)
    if far.any():
        rounded[far] = [float(f"{value:.{digits - 1}e}") for value in np.asarray(values)[far].tolist()]
    return np.where(np.isfinite(values), rounded, values)
