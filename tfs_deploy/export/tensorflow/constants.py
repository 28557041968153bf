# SPDX-License-Identifier: Apache-2.0
"""The memory that TensorFlow takes for large constants while it writes a model."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.export.signatures.bound_signature import too_large
from tfs_deploy.host.machine import available_bytes
from tfs_deploy.text import size_text

if TYPE_CHECKING:
    from collections.abc import Iterable

#: what a graph may hold before its size is looked at; most models keep their weights in variables
_LARGE: Final = 64 << 20
#: how often constants are in memory while ``tf.saved_model.save`` writes them, beside what tracing took (TensorFlow
#: 2.21: 13 times in all, 5 of them before)
_COPIES: Final = 8
#: what a message of protobuf may hold
_MOST: Final = 2 << 30


def constant_bytes(functions: Iterable[Any]) -> int:
    """Return the bytes of the graphs of concrete functions, with the constants that they capture."""
    total = 0
    for function in functions:
        total += function.graph.as_graph_def().ByteSize()
        for value, _ in function.graph.captures:
            if value.dtype.is_numeric:  # neither a resource nor a string: its size is that of its values
                total += (value.shape.num_elements() or 0) * value.dtype.size
    return total


def check_room(constants: int) -> None:
    """Check that functions with that many bytes of constants can be saved on this machine.

    Raises:
        UsageError: more than a file of protobuf can hold.
        EnvironmentFault: TensorFlow would need more memory than there is; the kernel would end the process.
    """
    if constants >= _MOST:
        raise too_large()
    release(constants)
    room = available_bytes()
    if constants < _LARGE or room is None or constants * _COPIES <= room:
        return
    raise EnvironmentFault(
        f"the model holds {size_text(constants)} of constants: to write them TensorFlow needs "
        f"{size_text(constants * _COPIES)} of memory, and {size_text(room)} are free",
        hint="keep weights and tables in variables (tf.Variable), which are written without copies, or use a machine "
        "with more memory",
    )


def release(constants: int) -> None:
    """Free what TensorFlow left in circles of references, if that is worth the time."""
    if constants >= _LARGE:
        gc.collect()
