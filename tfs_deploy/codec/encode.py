# SPDX-License-Identifier: Apache-2.0
"""Arrays to TensorProto bytes: a short header and the array's own memory, joined with one copy.

Two forms, as the server has: ``tensor_content`` (a block of memory; what clients send) and the typed ``*_val``
fields (what the server answers with unless ``--enable_serialization_as_tensor_content`` is set; many consumers read
``float_val`` directly). Field numbers: tensorflow/core/framework/tensor.proto.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.codec.arrays import as_array, wire_order
from tfs_deploy.codec.dtypes import DT_BFLOAT16, DT_HALF, DT_STRING, dtype_number
from tfs_deploy.codec.quantized import integers
from tfs_deploy.codec.varints import encode_varints
from tfs_deploy.codec.wire import delimited, varint
from tfs_deploy.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_CONTENT_TAG: Final = b"\x22"
_STRING_TAG: Final = b"\x42"
#: DataType number -> tag of its packed ``*_val`` field, for those whose packed form is the array's memory
_RAW_TAGS: Final = {1: b"\x2a", 2: b"\x32", 8: b"\x4a", 10: b"\x5a", 18: b"\x62"}
#: DataType number -> tag of its packed varint field
_VARINT_TAGS: Final = {
    **dict.fromkeys((3, 4, 5, 6, 11, 12, 13, 15, 16, 17, 29, 30, 31, 32), b"\x3a"),
    9: b"\x52",
    DT_HALF: b"\x6a",
    DT_BFLOAT16: b"\x6a",
    22: b"\x82\x01",
    23: b"\x8a\x01",
}
_FLOAT8_TAG: Final = b"\x92\x01"


def tensor_parts(name_tag: bytes, name: str, value: Any, *, typed: bool = False) -> Sequence[Any]:
    """Encode one entry of a map<string, TensorProto> field as parts for ``b"".join``.

    Args:
        name_tag: the tag of the map field in the message around it.
        name: the key.
        value: see ``as_array``.
        typed: use the ``*_val`` fields, not ``tensor_content``.
    """
    array = value if type(value) is np.ndarray else as_array(value)
    if not array.flags.c_contiguous or not array.dtype.isnative:
        array = wire_order(array)
    tag = _RAW_TAGS.get(dtype_number(array.dtype)) if typed else None if array.dtype.kind in "OSUT" else _CONTENT_TAG
    if tag is not None:
        return _memory_entry(name_tag, name, array.dtype, array.shape, tag), memory(array)
    head, payload, size = _value(array, typed=typed)
    return _entry(name_tag, name, head, size), *payload


def encode_tensor(array: Any, *, typed: bool = False) -> bytes:
    """Serialize an array as a TensorProto, in ``tensor_content`` or (``typed``) in the ``*_val`` fields.

    Raises:
        RequestError: the dtype has no place in a TensorProto.
    """
    head, payload, _ = _value(wire_order(as_array(array)), typed=typed)
    return b"".join((head, *payload))


def memory(array: NDArray[Any]) -> Any:
    """Return the memory of a C-contiguous array as something ``b"".join`` takes."""
    if array.dtype.isbuiltin == 1:
        return array
    # ml_dtypes' types have no buffer format
    return array.reshape(-1).view(np.uint8)


def memory_head(name_tag: bytes, name: str, value: Any) -> bytes | None:
    """Return what stands in front of an array's memory in a map entry; ``None`` if more than that memory is needed."""
    if type(value) is not np.ndarray or value.dtype.isbuiltin != 1 or value.dtype.kind in "OSUT":
        return None
    if not value.flags.c_contiguous or not value.dtype.isnative:
        return None
    return _memory_entry(name_tag, name, value.dtype, value.shape, _CONTENT_TAG)


@functools.lru_cache(maxsize=1024)
def _memory_entry(tag: bytes, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], values_tag: bytes) -> bytes:
    """Everything of a map entry in front of the array's memory; depends on nothing but these five."""
    size = dtype.itemsize
    for length in shape:
        size *= length
    head = _head(dtype_number(dtype), shape)
    if size:
        head += values_tag + varint(size)
    return _entry(tag, name, head, size)


def _entry(tag: bytes, name: str, head: bytes, payload: int) -> bytes:
    key = delimited(b"\x0a", name.encode())
    value = b"\x12" + varint(len(head) + payload) + head
    return tag + varint(len(key) + len(value) + payload) + key + value


def _head(number: int, shape: tuple[int, ...]) -> bytes:
    dims = b"".join(b"\x12\x02\x08" + varint(n) if 0 < n < 0x80 else _dim(n) for n in shape)
    return b"\x08" + varint(number) + delimited(b"\x12", dims)


def _dim(size: int) -> bytes:
    return delimited(b"\x12", b"\x08" + varint(size)) if size else b"\x12\x00"


def _value(array: NDArray[Any], *, typed: bool) -> tuple[bytes, Sequence[Any], int]:
    """Return a TensorProto's head, the parts that follow it and how many bytes they have."""
    number = dtype_number(array.dtype)
    head = _head(number, array.shape)
    if not array.size:
        return head, (), 0
    if number == DT_STRING:
        payload = _strings(array)
        return head, (payload,), len(payload)
    if not typed:
        return head + _CONTENT_TAG + varint(array.nbytes), (memory(array),), array.nbytes
    if number in _RAW_TAGS:
        return head + _RAW_TAGS[number] + varint(array.nbytes), (memory(array),), array.nbytes
    if number in _VARINT_TAGS:
        bits = array.view(np.uint16) if number in (DT_HALF, DT_BFLOAT16) else integers(array)
        values = encode_varints(bits)
        return head + _VARINT_TAGS[number] + varint(len(values)), (values,), len(values)
    return head + _FLOAT8_TAG + varint(array.nbytes), (memory(array),), array.nbytes


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise RequestError("a text holds half a surrogate pair, which UTF-8 cannot carry") from error


def _strings(array: NDArray[Any]) -> bytes:
    parts: list[bytes] = []
    for item in array.ravel().tolist():
        if isinstance(item, str):
            data = _utf8(item)
        elif isinstance(item, bytes):
            data = item
        else:
            raise RequestError(
                f"an element of a string tensor is of type {type(item).__name__}",
                hint="object arrays hold bytes or str; give numbers a numeric dtype with .astype(...)",
            )
        parts += (_STRING_TAG, varint(len(data)), data)
    return b"".join(parts)
