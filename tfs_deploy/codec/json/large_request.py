# SPDX-License-Identifier: Apache-2.0
"""Bodies of REST requests that are read in pieces, each as a small request of its own, so that other threads run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.codec.json.pieces import LargeList, LargeObject, Value, parse_large, parse_piece
from tfs_deploy.codec.json.server_request import Array, Format, JsonBody, parse_body, read_inputs
from tfs_deploy.codec.json.tensors import fill_columns
from tfs_deploy.errors import InvalidArgumentError

if TYPE_CHECKING:
    from tfs_deploy.protos.signatures import TensorSpec

#: bytes of a body from which on it is read in pieces
LARGE: Final = 1 << 20
_SHOWN: Final = "..."
_BASE64: Final = re.compile(rb'\{\s*"b64"')

#: called between two pieces; raises if nothing waits for the request any more
Proceed = Callable[[], None]


@dataclass(frozen=True, slots=True)
class LargeBody:
    """A large request body: small members are parsed, large ones are in pieces."""

    document: dict[str, Value]
    signature: str
    proceed: Proceed

    def exact(self) -> dict[str, Value]:
        """Return the members; a list of examples may be a ``LargeList``."""
        return self.document


def parse_request(data: bytes, proceed: Proceed) -> JsonBody | LargeBody:
    """Parse a body of any size; see ``parse_body``."""
    if len(data) < LARGE:
        return parse_body(data)
    found = parse_large(data, proceed)
    document = found.first() if isinstance(found, LargeObject) else found
    if not isinstance(document, dict):
        raise InvalidArgumentError(f"JSON Value: {_SHOWN} Is not object")
    signature = document.get("signature_name", "")
    if not isinstance(signature, str):
        raise InvalidArgumentError(
            f"JSON Value: {_SHOWN} not formatted correctly. 'signature_name' key must be a string value."
        )
    for name, value in document.items():
        if name not in ("instances", "inputs", "examples", "context"):
            _check(value, proceed)
    return LargeBody(document, signature, proceed)


def read_request(body: JsonBody | LargeBody, specs: Mapping[str, TensorSpec]) -> tuple[dict[str, Array], Format]:
    """Turn the ``instances`` or ``inputs`` of a body of any size into arrays; see ``read_inputs``."""
    if isinstance(body, JsonBody):
        return read_inputs(body, specs)
    document, rows, inputs = body.document, body.document.get("instances"), body.document.get("inputs")
    if specs and "inputs" not in document and isinstance(rows, LargeList):
        return _rows(rows, specs, body.proceed), "row"
    if specs and "instances" not in document and isinstance(inputs, (LargeList, LargeObject)):
        return _columns(inputs, specs, body.proceed), "column"
    shown = {name: _SHOWN if isinstance(each, (LargeList, LargeObject)) else each for name, each in document.items()}
    return read_inputs(JsonBody(shown, body.signature, quick=False, data=b""), specs)


def each_element(value: Value, proceed: Proceed) -> Iterator[Value]:
    """Yield the elements of a list; those of a large one are parsed when their turn comes."""
    if isinstance(value, list):
        yield from value
        return
    for part in value.parts:
        proceed()
        if isinstance(part, bytes):
            yield from parse_piece(part)
        else:
            yield _plain(part, proceed)


def _plain(value: Value, proceed: Proceed) -> Any:
    """Return a value as lists and dicts."""
    if isinstance(value, LargeList):
        return list(each_element(value, proceed))
    if isinstance(value, LargeObject):
        return {name: _plain(item, proceed) for name, item in value.first().items()}
    return value


def _check(value: Value, proceed: Proceed) -> None:
    """Parse what is not used, and forget it."""
    if isinstance(value, LargeList):
        for part in value.parts:
            proceed()
            if isinstance(part, bytes):
                parse_piece(part)
            else:
                _check(part, proceed)
    elif isinstance(value, LargeObject):
        for _, item in value.pairs:
            _check(item, proceed)


def _rows(rows: LargeList, specs: Mapping[str, TensorSpec], proceed: Proceed) -> dict[str, Array]:
    found: dict[str, list[Array]] = {name: [] for name in specs}
    named = _is_named(rows.parts[0])
    for part in rows.parts:
        proceed()
        if _is_named(part) != named:
            raise InvalidArgumentError("Expecting objects only, or values only, in the items of the input list")
        for name, array in _some_rows(part, specs, proceed).items():
            found[name].append(array)
    return {name: _joined(arrays) for name, arrays in found.items()}


def _some_rows(
    part: bytes | LargeList | LargeObject, specs: Mapping[str, TensorSpec], proceed: Proceed
) -> dict[str, Array]:
    if isinstance(part, bytes):
        return read_inputs(parse_body(b'{"instances":[%b]}' % part, piece=True), specs)[0]
    if isinstance(part, LargeObject) and not _is_named(part):
        part = _plain(part, proceed)
        return read_inputs(JsonBody({"instances": [part]}, "", quick=False, data=b""), specs)[0]
    if isinstance(part, LargeObject) and part.first().keys() != specs.keys():
        raise InvalidArgumentError(f"JSON object: {_SHOWN} keys must be equal to: {','.join(sorted(specs))}")
    return {name: array[np.newaxis] for name, array in _columns(part, specs, proceed).items()}


def _is_named(part: bytes | LargeList | LargeObject) -> bool:
    """Tell whether a row is an object with a value for each input."""
    if isinstance(part, bytes):
        return part.startswith(b"{") and not _BASE64.match(part)
    return isinstance(part, LargeObject) and [name for name, _ in part.pairs] != ["b64"]


def _columns(inputs: LargeList | LargeObject, specs: Mapping[str, TensorSpec], proceed: Proceed) -> dict[str, Array]:
    if isinstance(inputs, LargeObject) and _is_named(inputs):
        values = inputs.first()
        missing = next((name for name in specs if name not in values), None)
        if missing is not None:
            raise InvalidArgumentError(f"Missing named input: {missing} in 'inputs' object.")
        for name in values.keys() - specs.keys():
            _check(values[name], proceed)
        return {name: _column(values[name], name, spec, proceed) for name, spec in specs.items()}
    if len(specs) > 1:
        raise InvalidArgumentError(
            "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
            "tensorinfo_map"
        )
    return {name: _column(inputs, name, spec, proceed) for name, spec in specs.items()}


def _column(value: Value, name: str, spec: TensorSpec, proceed: Proceed) -> Array:
    if not isinstance(value, LargeList):
        return fill_columns({name: _plain(value, proceed)}, {name: spec})[name]
    found = []
    for part in value.parts:
        proceed()
        if isinstance(part, bytes):
            found.append(read_inputs(parse_body(b'{"inputs":[%b]}' % part, piece=True), {name: spec})[0][name])
        else:
            found.append(_column(part, name, spec, proceed)[np.newaxis])
    return _joined(found)


def _joined(arrays: list[Array]) -> Array:
    shape = arrays[0].shape[1:]
    for array in arrays:
        if array.shape[1:] != shape:
            expected, got = (f"[{','.join(map(str, each))}]" for each in (shape, array.shape[1:]))
            raise InvalidArgumentError(f"Expecting shape {expected} but got: {got}")
    return np.concatenate(arrays)
