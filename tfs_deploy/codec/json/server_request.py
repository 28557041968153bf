# SPDX-License-Identifier: Apache-2.0
"""The server's side of REST predict: request bodies to arrays (util/json_tensor.cc).

There is a fast path over whole arrays. Whatever it cannot prove right goes through a second path that looks at one
value after another, as the server does, and knows its errors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import orjson

from tfs_deploy.codec.json.numbers import INEXACT
from tfs_deploy.codec.json.tensors import dense_shape, fill_columns, fill_rows, to_float
from tfs_deploy.codec.json.text import hide_escapes, parse_json, print_json
from tfs_deploy.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.protos.signatures import TensorSpec

Array = np.ndarray[Any, Any]
Format = Literal["row", "column"]

#: bytes of a body that cannot become a large array of texts
_NARROW: Final = 1 << 12
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
class JsonBody:
    """A parsed request body; the inputs follow once the signature's specs are known (``read_inputs``).

    ``quick`` says that the fast parser read it, which of equal keys takes the last, not the first; ``piece`` that it is
    a piece of a large one.
    """

    document: dict[str, Any]
    signature: str
    quick: bool
    data: bytes
    piece: bool = False

    def exact(self) -> dict[str, Any]:
        """Return the document as the server's parser reads it: big integers as floats, of equal keys the first."""
        if not self.quick:
            return self.document
        document: dict[str, Any] = parse_json(self.data, exact=not self.piece)
        return document


def parse_body(data: bytes, *, piece: bool = False) -> JsonBody:
    """Parse a request body and take its ``signature_name``; ``piece``: it is made of a piece of a large one.

    Raises:
        InvalidArgumentError: with the server's text.
    """
    document, quick = _load(data, exact=not piece)
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"JSON Value: {print_json(document)} Is not object")
    signature = document.get(_SIGNATURE, "")
    if not isinstance(signature, str):
        raise InvalidArgumentError(
            f"JSON Value: {print_json(document)} not formatted correctly. 'signature_name' key must be a string value."
        )
    return JsonBody(document, signature, quick, data, piece)


def _load(data: bytes, *, exact: bool) -> tuple[Any, bool]:
    """Parse; the flag says whether the fast parser did and no key of the format appears twice."""
    if data and all(data.count(key) < 2 for key in (b'"instances"', b'"inputs"', b'"signature_name"')):
        try:
            return orjson.loads(data), True
        except orjson.JSONDecodeError:
            pass
    return parse_json(data, exact=exact), False


def read_inputs(body: JsonBody, specs: Mapping[str, TensorSpec]) -> tuple[dict[str, Array], Format]:
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
            f"JSON Value: {print_json(body.exact())} Not formatted correctly expecting only one of 'inputs' or "
            "'instances' keys to exist "
        )
    if _INSTANCES in document:
        return _read_rows(body, specs), "row"
    if _INPUTS in document:
        inputs = document[_INPUTS]
        quick = _quick_columns(body, inputs, specs) if body.quick else None
        return quick or fill_columns(body.exact()[_INPUTS], specs), "column"
    raise InvalidArgumentError("Missing 'inputs' or 'instances' key")


def _read_rows(body: JsonBody, specs: Mapping[str, TensorSpec]) -> dict[str, Array]:
    rows = body.document[_INSTANCES]
    if not isinstance(rows, list):
        raise InvalidArgumentError(f"JSON Value: {print_json(body.exact())} Expecting 'instances' to be an list/array")
    if not rows:
        raise InvalidArgumentError(f"JSON Value: {print_json(body.exact())} No values in 'instances' array")
    quick = _quick_rows(body, rows, specs) if body.quick else None
    return quick or fill_rows(body.exact()[_INSTANCES], specs)


def _quick_rows(body: JsonBody, rows: list[Any], specs: Mapping[str, TensorSpec]) -> dict[str, Array] | None:
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


def _quick_columns(body: JsonBody, inputs: Any, specs: Mapping[str, TensorSpec]) -> dict[str, Array] | None:
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


def _quick_array(value: Any, spec: TensorSpec, body: JsonBody) -> Array | None:
    """Make an array at once, or return ``None`` if a value might need a closer look."""
    if spec.dtype == "string":
        shape = dense_shape(value)
        # the shape of the first elements may be larger than all that there is
        sparse = math.prod(shape) > body.data.count(b",") + 1
        return None if sparse or b"\\u0000" in body.data else _text_array(value, shape)
    if _texts_widen(body.data):
        return None
    try:
        array = np.array(value)
    except (ValueError, OverflowError):
        return None
    kind = array.dtype.kind
    if spec.dtype == "float64" and kind == "f" and INEXACT.search(body.data):
        return None
    if spec.dtype in _FLOATS and kind in "fiu" and not _has_words(body.data):
        out = to_float(array, spec.dtype)
        return out if kind != "f" or np.isfinite(array).all() else None
    if spec.dtype in _INTEGERS and kind in "iu" and not _has_words(body.data):
        lowest, highest = _INTEGERS[spec.dtype]
        if array.size and (int(array.min()) < lowest or int(array.max()) > highest):
            return None
        return array.astype(spec.dtype)
    if spec.dtype == "bool" and kind == "b":
        return array
    return None


def _texts_widen(data: bytes) -> bool:
    """Tell whether a text could make NumPy's array much larger than the body: all elements are as wide as it is."""
    if len(data) < _NARROW or b'"' not in data:
        return False
    quotes = np.flatnonzero(np.frombuffer(hide_escapes(data), np.uint8) == ord('"'))
    if len(quotes) % 2:
        return True
    longest = int((quotes[1::2] - quotes[::2]).max())
    return 4 * longest * data.count(b",") > 64 * len(data)


def _has_words(data: bytes) -> bool:
    """Tell whether true or false occur: numpy would silently make numbers of them."""
    return b"true" in data or b"false" in data


def _text_array(value: Any, shape: tuple[int, ...]) -> Array | None:
    try:
        out = np.empty(shape, object)
        out[...] = value
    except ValueError:
        return None
    flat = out.reshape(-1)
    for index, item in enumerate(flat.tolist()):
        if not isinstance(item, str):
            return None
        flat[index] = item.encode()
    return out
