# SPDX-License-Identifier: Apache-2.0
"""Hash the head of a checkpoint's data file from the memory of its variables, before TensorFlow writes it.

A save first builds the graph, which takes about as long as hashing the variables and leaves the other cores idle. So
the variables are hashed in that time, in the order in which they will be written. Nothing is taken on trust:

- TensorFlow tells, just before it writes, which tensors it writes in which order (a sharding callback, its public
  hook). What was hashed counts as far as these are the same memory in the same order;
- that memory cannot have changed: it is held here, and TensorFlow copies a variable before an update if its buffer is
  held elsewhere (training_op_helpers.h: PrepareToUpdateVariable);
- the index that was written must have the tensors at these places (``Head.leads``).

Tensors that fail one of these are hashed from the file.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from tfs_deploy.savedmodel.formats.bundle import Bundle

#: bytes that are hashed before the thread checks whether they are still needed
_CHUNK: Final = 16 << 20


@dataclass(frozen=True)
class Head:
    """The beginning of a data file: its tensors as key and size in bytes, and their checksum so far."""

    tensors: tuple[tuple[str, int], ...]
    digest: Any

    @property
    def size(self) -> int:
        """Bytes of all tensors together."""
        return sum(size for _, size in self.tensors)

    def leads(self, bundle: Bundle, path: Path) -> bool:
        """Tell whether ``path`` is the only data file of a bundle and begins with exactly these tensors."""
        if list(bundle.shards.values()) != [path]:
            return False
        first = sorted(bundle.entries, key=lambda entry: entry.offset)[: len(self.tensors)]
        ends = itertools.accumulate((size for _, size in self.tensors), initial=0)
        expected = [(key, offset, size) for (key, size), offset in zip(self.tensors, ends, strict=False)]
        return [(entry.name, entry.offset, entry.size) for entry in first] == expected


class HeadHasher:
    """Hashes variables in a thread, in order, up to the first that the saver does not write next."""

    def __init__(self, variables: Iterable[Any]) -> None:
        self._views = list(_leading(memory_of(variable.read_value()) for variable in variables))
        self._digests: list[Any] = []
        self._wanted = len(self._views)
        self._thread = threading.Thread(target=self._hash, name="tfs-deploy-head-hasher", daemon=True)
        self._tensors: tuple[tuple[str, int], ...] = ()
        self._thread.start()

    def written(self, tensors: Sequence[tuple[str, Any]]) -> None:
        """Note what is about to be written: keys and tensors, in order."""
        same = []
        for (key, tensor), ours in zip(tensors, self._views, strict=False):
            theirs = memory_of(tensor)
            if theirs is None or _place(theirs) != _place(ours):
                break
            same.append((key, len(theirs)))
        self._wanted = len(same)
        self._tensors = tuple(same)

    def busy(self) -> bool:
        """Tell whether ``head`` would have to wait."""
        return self._thread.is_alive()

    def head(self) -> Head | None:
        """Wait for the hash of the tensors that are written as they were hashed; ``None`` if there are none."""
        if not self._tensors:
            return None
        self._thread.join()
        return Head(self._tensors, self._digests[len(self._tensors) - 1])

    def close(self) -> None:
        """Stop, and give back the memory of the variables."""
        self._wanted = 0
        self._thread.join()
        self._views.clear()

    def _hash(self) -> None:
        digest = hashlib.sha256()
        for number, view in enumerate(self._views):
            for start in range(0, len(view), _CHUNK):
                if number >= self._wanted:
                    return
                digest.update(view[start : start + _CHUNK])
            self._digests.append(digest.copy())


def _leading(views: Iterable[memoryview | None]) -> Iterator[memoryview]:
    """Yield the views before the first that is missing."""
    for view in views:
        if view is None:
            return
        yield view


def save_options(head_hasher: HeadHasher) -> Any:
    """Return the options of a save that tell ``head_hasher`` what is about to be written."""
    import tensorflow as tf

    class Observer(tf.train.experimental.ShardingCallback):  # type: ignore[misc]
        """TensorFlow's own policy, which also tells the hasher."""

        def __init__(self) -> None:
            self._policy = tf.train.experimental.ShardByTaskPolicy()

        @property
        def description(self) -> str:
            """The description that every policy has."""
            return str(self._policy.description)

        def __call__(self, shardable_tensors: Sequence[Any]) -> Any:
            head_hasher.written([(tensor.checkpoint_key, tensor.tensor) for tensor in shardable_tensors])
            return self._policy(shardable_tensors)

    return tf.saved_model.SaveOptions(experimental_sharding_callback=Observer())


def memory_of(tensor: Any) -> memoryview | None:
    """Return the bytes of an eager tensor where they lie, ``None`` where they cannot be had without a copy."""
    device = getattr(tensor, "backing_device", None)
    if device is None or ":CPU:" not in device or tensor.dtype.name in ("string", "resource", "variant"):
        return None
    try:
        view = memoryview(tensor)
        return view.cast("B") if view.nbytes and view.c_contiguous else None
    except (BufferError, TypeError, ValueError):
        return None  # a dtype that Python's buffers have no letter for, such as bfloat16


def _place(view: memoryview) -> tuple[int, int]:
    import numpy as np

    return np.frombuffer(view, np.uint8).ctypes.data, len(view)
