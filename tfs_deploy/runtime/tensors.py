# SPDX-License-Identifier: Apache-2.0
"""Arrays to ``TF_Tensor`` and back: one copy in, none out for large results.

Strings are arrays of TF_TString, 24 bytes each (tensorflow/core/platform/ctstring_internal.h): short ones lie in the
element itself, long ones in memory of their own.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import threading
from ctypes import CFUNCTYPE, c_int64, c_size_t, c_void_p
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from tfs_deploy.codec.dtypes import DT_STRING, dtype_number, wire_dtype
from tfs_deploy.errors import RequestError, UnimplementedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from tfs_deploy.runtime.library import Library

_TSTRING_SIZE: Final = 24
#: TF_TSTR_SMALL: up to 22 bytes and a NUL behind the size byte, which holds size << 2
_SMALL_MAX: Final = 22
#: results up to this size are copied, larger ones stay in TensorFlow's memory as long as the array lives
_COPY_MAX: Final = 1 << 14
_DIMS: Final = [c_int64 * rank for rank in range(9)]

#: memmove that keeps the interpreter lock; ``ctypes.memmove`` gives it up, which is right for large arrays only
_copy_bytes = ctypes.PyDLL(None).memmove
_copy_bytes.argtypes = (c_void_p, ctypes.c_char_p, c_size_t)
_copy_bytes.restype = None

_Deallocator = CFUNCTYPE(None, c_void_p, c_size_t, c_void_p)


@functools.lru_cache(maxsize=1024)
def _dims(shape: tuple[int, ...]) -> Any:
    kind = _DIMS[len(shape)] if len(shape) < len(_DIMS) else c_int64 * len(shape)
    return kind(*shape)


def to_tensor(library: Library, array: NDArray[Any]) -> int:
    """Copy an array into a new ``TF_Tensor`` and return its address; the caller must delete it."""
    number = dtype_number(array.dtype)
    shape = array.shape
    if number == DT_STRING:
        return _string_tensor(library, array, shape)
    if not array.flags.c_contiguous or not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="), order="C", copy=True)
    size = array.nbytes
    tensor: int | None = library.TF_AllocateTensor(number, _dims(shape), len(shape), size)
    if tensor is None:
        raise RequestError(f"no memory for a tensor of {size} bytes", hint="send fewer rows at a time")
    if size > _COPY_MAX:
        ctypes.memmove(library.TF_TensorData(tensor), array.ctypes.data, size)
    elif size:
        _copy_bytes(library.TF_TensorData(tensor), array.tobytes(), size)
    return tensor


def from_tensor(library: Library, tensor: int) -> NDArray[Any]:
    """Return a ``TF_Tensor``, which is taken over, as an array, which may be read-only.

    Raises:
        UnimplementedError: numpy has no such dtype (resource, variant).
    """
    number = library.TF_TensorType(tensor)
    shape = tuple(library.TF_Dim(tensor, index) for index in range(library.TF_NumDims(tensor)))
    try:
        dtype = wire_dtype(number)
    except RequestError as error:
        library.TF_DeleteTensor(tensor)
        raise UnimplementedError(error.message) from error
    if number == DT_STRING:
        return _strings_from(library, tensor, shape)
    size = library.TF_TensorByteSize(tensor)
    if size > _COPY_MAX:
        memory: NDArray[Any] = np.asarray(_TensorMemory(library, tensor, size))
        return memory.view(dtype).reshape(shape)
    data = bytearray(ctypes.string_at(library.TF_TensorData(tensor), size)) if size else b""
    library.TF_DeleteTensor(tensor)
    # by way of bytes, as ml_dtypes' types have no buffer format
    flat = np.frombuffer(data, dtype if dtype.isbuiltin == 1 else np.uint8)
    return (flat if dtype.isbuiltin == 1 else flat.view(dtype)).reshape(shape)


class _TensorMemory:
    """The memory of a result; the tensor is deleted when the last array on it goes."""

    def __init__(self, library: Library, tensor: int, size: int) -> None:
        self._library = library
        self._tensor = tensor
        self.__array_interface__ = {
            "version": 3,
            "shape": (size,),
            "typestr": "|u1",
            "data": (library.TF_TensorData(tensor), True),
        }

    def __del__(self) -> None:
        self._library.TF_DeleteTensor(self._tensor)


class _StringBlocks:
    """Memory of string inputs: a tensor may outlive its request (a table keeps its keys), so TensorFlow says when."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alive: dict[int, tuple[Any, Library, int]] = {}
        self._numbers = itertools.count(1)
        self.deallocator = _Deallocator(self._free)

    def keep(self, block: Any, library: Library, count: int) -> int:
        """Hold on to a block until the deallocator is called with the number returned here."""
        number = next(self._numbers)
        with self._lock:
            self._alive[number] = (block, library, count)
        return number

    def _free(self, data: int, _size: int, number: int) -> None:
        with self._lock:
            _block, library, count = self._alive.pop(number)
        for index in range(count):
            library.TF_StringDealloc(data + index * _TSTRING_SIZE)


_blocks = _StringBlocks()


def _string_tensor(library: Library, array: NDArray[Any], shape: tuple[int, ...]) -> int:
    items = [_bytes_of(item) for item in array.ravel().tolist()]
    size = len(items) * _TSTRING_SIZE
    # TF_NewTensor copies memory that is not aligned to 64 bytes, and a copy of a string block would be freed twice
    block = np.zeros(size + 64, np.uint8)
    start = -block.ctypes.data % 64
    address = block.ctypes.data + start
    view = memoryview(block.data)
    for index, item in enumerate(items):
        offset = start + index * _TSTRING_SIZE
        if len(item) <= _SMALL_MAX:
            view[offset] = len(item) << 2
            view[offset + 1 : offset + 1 + len(item)] = item
        else:
            library.TF_StringCopy(address + index * _TSTRING_SIZE, item, len(item))
    number = _blocks.keep(block, library, len(items))
    tensor: int = library.TF_NewTensor(
        DT_STRING, _dims(shape), len(shape), address, size, ctypes.cast(_blocks.deallocator, c_void_p), number
    )
    return tensor


def _bytes_of(item: Any) -> bytes:
    if isinstance(item, bytes):
        return item
    if isinstance(item, str):
        return item.encode()
    raise RequestError(
        f"an element of a string tensor is of type {type(item).__name__}",
        hint="object arrays hold bytes or str; give numbers a numeric dtype with .astype(...)",
    )


def _strings_from(library: Library, tensor: int, shape: tuple[int, ...]) -> NDArray[Any]:
    out = np.empty(shape, object)
    data = library.TF_TensorData(tensor)
    if out.size:
        raw = ctypes.string_at(data, out.size * _TSTRING_SIZE)
        items = []
        for offset in range(0, len(raw), _TSTRING_SIZE):
            first = raw[offset]
            if first & 3:
                element = data + offset
                pointer = library.TF_StringGetDataPointer(element)
                items.append(ctypes.string_at(pointer, library.TF_StringGetSize(element)))
            else:
                items.append(raw[offset + 1 : offset + 1 + (first >> 2)])
        out.reshape(-1)[:] = items
    library.TF_DeleteTensor(tensor)
    return out
