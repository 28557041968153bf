# SPDX-License-Identifier: Apache-2.0
"""Runs the requests of one version in batches (batching/batching_session.cc, batching/batching_util.cc)."""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np

from tfs_deploy.codec.dtypes import dtype_number
from tfs_deploy.codec.json.tensors import TYPE_NAMES
from tfs_deploy.errors import CancelledError, FailedPreconditionError, InternalError, InvalidArgumentError, StatusError
from tfs_deploy.protos.signatures import dtype_name
from tfs_deploy.server.batching.scheduler import BatchQueue, BatchScheduler, BatchTask, expired
from tfs_deploy.server.inference.servable import Runner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.protos.signatures import SignatureInfo
    from tfs_deploy.server.batching.options import BatchOptions
    from tfs_deploy.server.metrics import ServerMetrics

#: batching/batching_util.cc
_MAX_PADDED_RANK: Final = 6

Array = np.ndarray[Any, Any]
Key = tuple[frozenset[str], frozenset[str]]


class Batchable(Runner, Protocol):
    """A graph to run batches on."""

    @property
    def signatures(self) -> Mapping[str, SignatureInfo]:
        """Its signatures by name; the requests of each are batched."""


class BatchingRunner:
    """A runner in front of an engine; a call whose tensors do not match a signature runs alone."""

    def __init__(
        self, engine: Batchable, options: BatchOptions, scheduler: BatchScheduler, metrics: ServerMetrics
    ) -> None:
        self._engine = engine
        self._options = options
        self._metrics = metrics
        #: the queue of each signature, with the order in which its batches fetch
        self._queues: dict[Key, tuple[BatchQueue, list[str]]] = {}
        for signature in engine.signatures.values():
            feeds = frozenset(spec.tensor for spec in signature.inputs.values())
            order = list(dict.fromkeys(spec.tensor for spec in signature.outputs.values()))
            if (feeds, frozenset(order)) not in self._queues:
                process = functools.partial(self._run_batch, fetches=order)
                self._queues[feeds, frozenset(order)] = scheduler.queue(options, process), order

    def compute(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout: float | None = None
    ) -> list[Array]:
        """Return the call's part of a batch's results; raises ``StatusError`` with the server's text."""
        found = self._queues.get((frozenset(feeds), frozenset(fetches)))
        if found is None:
            return self._engine.compute(feeds, fetches, timeout=timeout)
        queue, order = found
        size = batch_size(feeds)
        if not size:
            return self._engine.compute(feeds, fetches, timeout=timeout)
        for _ in feeds:
            self._metrics.input_batch_size.add(size)
        deadline = None if timeout is None else time.monotonic() + timeout
        tasks = queue.submit(feeds, size, deadline)
        try:
            results = [task.wait() for task in tasks]
        except CancelledError:
            for task in tasks:
                task.leave()
            raise
        columns = results[0] if len(results) == 1 else [np.concatenate(parts) for parts in zip(*results, strict=True)]
        return [columns[order.index(tensor)] for tensor in fetches]

    def _run_batch(self, tasks: Sequence[BatchTask], fetches: Sequence[str]) -> None:
        """Merge, pad, run and split one batch; each task gets its part or the error."""
        now = time.monotonic()
        for task in tasks:
            # the original's sessions do not name their pool
            self._metrics.queuing_latency.add((now - task.enqueued) * 1e6, "")
        present = [task for task in tasks if not task.left]
        alive = [task for task in present if task.deadline is None or task.deadline > now]
        for task in present:
            if task not in alive:
                task.finish(None, expired())
        if not alive:
            return
        try:
            results = self._run(alive, fetches, now)
        except StatusError as error:
            for task in alive:
                task.finish(None, error)
            return
        start = 0
        for task in alive:
            task.finish([array[start : start + task.size] for array in results], None)
            start += task.size

    def _run(self, tasks: Sequence[BatchTask], fetches: Sequence[str], now: float) -> list[Array]:
        size = sum(task.size for task in tasks)
        padded = self._options.padded_size(size)
        self._metrics.processed_batch_size.add(padded)
        self._metrics.padding_size.add(padded - size, str(padded))
        feeds = merge_inputs(tasks, padded - size, pad_shapes=self._options.pad_variable_length)
        deadlines = [task.deadline for task in tasks]
        limits = [deadline - now for deadline in deadlines if deadline is not None]
        timeout = max(limits) if len(limits) == len(deadlines) else None
        try:
            results = self._engine.compute(feeds, fetches, timeout=timeout)
        finally:
            self._metrics.wrapped_runs.add()
        check_outputs(results, padded)
        return results

    def close(self) -> None:
        """Run what waits, then free the model."""
        for queue, _ in self._queues.values():
            queue.close()
        self._engine.close()


def batch_size(feeds: Mapping[str, Array]) -> int:
    """Return the number of rows of a request; all inputs must have the same."""
    if not feeds:
        raise InvalidArgumentError("Batching Run() must have at least one input tensor")
    sizes = set()
    for array in feeds.values():
        if array.ndim == 0:
            raise InvalidArgumentError("Batching Run() input tensors must have at least one dimension")
        sizes.add(array.shape[0])
    if len(sizes) > 1:
        raise InvalidArgumentError("Batching Run() input tensors must have equal 0th-dimension size")
    return int(sizes.pop())


def merge_inputs(tasks: Sequence[BatchTask], padding: int, *, pad_shapes: bool) -> dict[str, Array]:
    """Return the inputs of the tasks concatenated, with ``padding`` copies of the last task's first row."""
    merged = {}
    for name in tasks[0].inputs:
        parts = [task.inputs[name] for task in tasks]
        if pad_shapes:
            parts = _same_shapes(name, parts)
        elif len(parts) > 1 and len({part.shape[1:] for part in parts}) > 1:
            raise FailedPreconditionError(
                f"Tensors with name '{name}' from different tasks have different shapes and padding is turned off. "
                "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
                "dimensions starting with the first dim."
            )
        _check_types(parts)
        if padding:
            parts.append(np.repeat(parts[-1][:1], padding, axis=0))
        merged[name] = parts[0] if len(parts) == 1 else np.concatenate(parts)
    return merged


def _check_types(parts: Sequence[Array]) -> None:
    for part in parts[1:]:
        if part.dtype != parts[0].dtype:
            raise InternalError(
                "Tensor concat operation failed: INVALID_ARGUMENT: Cannot concatenate tensors that have different "
                f"data types. Got {_type_name(parts[0])} and {_type_name(part)}."
            )


def _type_name(array: Array) -> str:
    name = dtype_name(dtype_number(array.dtype))
    return TYPE_NAMES.get(name, name)


def _same_shapes(name: str, parts: Sequence[Array]) -> list[Array]:
    """Widen each part with its own first element until all but the first dimension are the same."""
    if len({part.ndim for part in parts}) > 1:
        raise InvalidArgumentError(f"Tensors with name '{name}' from different tasks should have the same rank.")
    if parts[0].ndim > _MAX_PADDED_RANK:
        raise InvalidArgumentError(f"Only tensors with rank from 1 to {_MAX_PADDED_RANK} can be padded.")
    widest = tuple(max(sizes) for sizes in zip(*(part.shape[1:] for part in parts), strict=True))
    return [part if part.shape[1:] == widest else _padded(part, widest) for part in parts]


def _padded(part: Array, widest: tuple[int, ...]) -> Array:
    shape = (part.shape[0], *widest)
    if not part.size:
        if 0 in shape:
            return part.reshape(shape)
        raise InvalidArgumentError("Got empty tensor in batch of non-empty tensors.")
    out = np.full(shape, part.flat[0], part.dtype)
    out[tuple(slice(length) for length in part.shape)] = part
    return out


def check_outputs(results: Sequence[Array], size: int) -> None:
    """Refuse outputs that cannot be split by rows."""
    for array in results:
        if array.ndim == 0:
            raise FailedPreconditionError("Batched output tensor has 0 dimensions")
        if array.shape[0] != size:
            raise FailedPreconditionError(
                "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the input "
                "tensors"
            )
