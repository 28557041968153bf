# SPDX-License-Identifier: Apache-2.0
"""CRC-32C (Castagnoli), as TFRecord files, tensor bundles and LevelDB tables use it, in plain Python and numpy."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_POLYNOMIAL: Final = 0x82F63B78
_MASK_DELTA: Final = 0xA282EAD8
#: below this many bytes the plain loop is faster than setting up numpy; the second if numpy is not imported yet
_SMALL: Final = 4096
_SMALL_WITHOUT_NUMPY: Final = 1 << 17
#: long inputs are cut into this many equal lanes that are worked on side by side
_LANES: Final = 4096


def crc32c(data: bytes | bytearray | memoryview, crc: int = 0) -> int:
    """Return the CRC-32C of ``data``, continuing from ``crc`` (the checksum of what came before)."""
    if len(data) < (_SMALL if "numpy" in sys.modules else _SMALL_WITHOUT_NUMPY):
        return _plain(data, crc)
    return _wide(data, crc)


def checksum(data: bytes) -> str:
    """Return the CRC-32C of ``data`` as eight hexadecimal digits, as documents carry it."""
    return f"{crc32c(data):08x}"


def mask(crc: int) -> int:
    """Mask a checksum that is stored beside its data: rotate right by 15, add a constant (core/lib/hash/crc32c.h)."""
    return (((crc >> 15) | (crc << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def unmask(masked: int) -> int:
    """Undo ``mask``."""
    rotated = (masked - _MASK_DELTA) & 0xFFFFFFFF
    return ((rotated >> 17) | (rotated << 15)) & 0xFFFFFFFF


def masked_crc32c(data: bytes | bytearray | memoryview) -> int:
    """Return the masked CRC-32C of ``data``."""
    return mask(crc32c(data))


@functools.lru_cache(maxsize=1)
def _table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return tuple(table)


def _plain(data: bytes | bytearray | memoryview, crc: int) -> int:
    table = _table()
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _wide(data: bytes | bytearray | memoryview, crc: int) -> int:
    """Checksum all lanes at once (numpy steps through them column by column), then join them pairwise.

    The checksum is linear: that of ``a + b`` is that of ``a`` moved past ``len(b)`` zero bytes, xor that of ``b``.
    """
    import numpy as np

    table = np.array(_table(), np.uint32)
    lanes = min(_LANES, 1 << (len(data) // 64).bit_length() - 1)
    width = len(data) // lanes
    columns = np.ascontiguousarray(np.frombuffer(data, np.uint8, lanes * width).reshape(lanes, width).T)
    state = np.zeros(lanes, np.uint32)
    state[0] = crc ^ 0xFFFFFFFF
    for column in columns:
        state = table[(state ^ column) & 0xFF] ^ (state >> 8)
    shift = _shift_table(width)
    while len(state) > 1:
        state = _apply(shift, state[0::2]) ^ state[1::2]
        shift = _compose(shift)
    return _plain(memoryview(data)[lanes * width :], int(state[0]) ^ 0xFFFFFFFF)


@functools.lru_cache(maxsize=64)
def _shift_table(count: int) -> NDArray[np.uint32]:
    """Return the 4 x 256 table of the operator that moves a state past ``count`` zero bytes."""
    operator = _identity()
    power = _one_byte()
    while count:
        if count & 1:
            operator = _apply(power, operator.reshape(-1)).reshape(4, 256)
        power = _compose(power)
        count >>= 1
    return operator


def _identity() -> NDArray[np.uint32]:
    import numpy as np

    values = np.arange(256, dtype=np.uint32)
    return np.stack([values << np.uint32(8 * byte) for byte in range(4)])


def _one_byte() -> NDArray[np.uint32]:
    import numpy as np

    states = _identity()
    moved: NDArray[np.uint32] = np.array(_table(), np.uint32)[states & 0xFF] ^ (states >> np.uint32(8))
    return moved


def _compose(operator: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return _apply(operator, operator.reshape(-1)).reshape(4, 256)


def _apply(operator: NDArray[np.uint32], states: NDArray[np.uint32]) -> NDArray[np.uint32]:
    moved: NDArray[np.uint32] = (
        operator[0][states & 0xFF]
        ^ operator[1][(states >> 8) & 0xFF]
        ^ operator[2][(states >> 16) & 0xFF]
        ^ operator[3][states >> 24]
    )
    return moved
