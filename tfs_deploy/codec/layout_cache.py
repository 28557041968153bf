# SPDX-License-Identifier: Apache-2.0
"""Reading messages that differ from an earlier one in their arrays' values only, without parsing them again.

Calls of one client, and replies of one model, mostly have the same names and shapes. Where an earlier message of the
same length had its arrays' memory in the same places, and all bytes around them are the same, its structure is this
one's too: nothing but the values can differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")

_MAX_LAYOUTS: Final = 256
_MAX_LITERALS: Final = 4096


@dataclass(frozen=True, slots=True)
class _Layout(Generic[T]):
    head: T
    #: (start, stop, bytes) of everything but the arrays
    literals: tuple[tuple[int, int, bytes], ...]
    #: (name, dtype, offset, shape) of each array, in the message's order
    arrays: tuple[tuple[str, np.dtype[Any], int, tuple[int, ...]], ...]


class LayoutCache(Generic[T]):
    """Layouts by message length; ``head`` is whatever the reader made of the bytes around the arrays."""

    def __init__(self) -> None:
        self._layouts: dict[int, _Layout[T]] = {}

    def read(self, data: bytes) -> tuple[T, dict[str, NDArray[Any]]] | None:
        """Return the head and the arrays of a message whose layout is known, as read-only views."""
        layout = self._layouts.get(len(data))
        if layout is None:
            return None
        for start, stop, literal in layout.literals:
            if data[start:stop] != literal:
                return None
        # arrays on bytes are read-only
        return layout.head, {
            name: np.ndarray(shape, dtype, data, offset) for name, dtype, offset, shape in layout.arrays
        }

    def learn(self, data: bytes, head: T, arrays: dict[str, NDArray[Any]]) -> None:
        """Remember the layout of a message that has been parsed, if all its arrays are views on it."""
        places = _places(data, arrays)
        if not places:
            return
        literals = []
        position = 0
        for offset, name in sorted(places):
            literals.append((position, offset, data[position:offset]))
            position = offset + arrays[name].nbytes
        literals.append((position, len(data), data[position:]))
        if sum(len(literal) for _, _, literal in literals) > _MAX_LITERALS:
            return
        offsets = {name: offset for offset, name in places}
        if len(self._layouts) >= _MAX_LAYOUTS:
            self._layouts.clear()
        self._layouts[len(data)] = _Layout(
            head,
            tuple(literals),
            tuple((name, array.dtype, offsets[name], array.shape) for name, array in arrays.items()),
        )


def _places(data: bytes, arrays: dict[str, NDArray[Any]]) -> list[tuple[int, str]]:
    """Return the offset of each array's memory in ``data``; nothing if one of them is elsewhere, or empty.

    Nor if one holds bools: not every byte is one, so their values have to be looked at each time.
    """
    first = np.frombuffer(data, np.uint8).__array_interface__["data"][0] if data else 0
    places = []
    for name, array in arrays.items():
        offset = array.__array_interface__["data"][0] - first
        if array.dtype.kind == "b":
            return []
        if not array.nbytes or array.dtype.isbuiltin != 1 or not 0 <= offset <= len(data) - array.nbytes:
            return []
        places.append((offset, name))
    return places
