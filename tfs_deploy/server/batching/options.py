# SPDX-License-Identifier: Apache-2.0
"""BatchingParameters as plain values, with the server's rules for them (batching/batching_session.cc)."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.errors import InvalidArgumentError
from tfs_deploy.host.regular_file import read_regular

if TYPE_CHECKING:
    from pathlib import Path

#: in a version directory, with --enable_per_model_batching_parameters (bundle_factory_util.cc)
PER_MODEL_FILE: Final = "batching_params.pbtxt"


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """How requests are batched; the defaults are those of TensorFlow's scheduler.

    Attributes:
        max_batch_size: rows of the largest request that is accepted.
        max_execution_size: rows of the largest batch that runs.
        timeout_seconds: how long a batch that is not full waits for more.
        max_enqueued: batches that may wait; more are refused.
        threads: batches that run at a time, over all models.
        allowed_sizes: batches are padded to one of these sizes; empty allows all.
        pad_variable_length: pad inputs of unequal shapes instead of refusing them.
        split_large: spread a request over several batches.
    """

    max_batch_size: int = 1000
    max_execution_size: int = 1000
    timeout_seconds: float = 0.0
    max_enqueued: int = 10
    threads: int = 1
    allowed_sizes: tuple[int, ...] = ()
    pad_variable_length: bool = False
    split_large: bool = False

    def padded_size(self, size: int) -> int:
        """Return the allowed size that a batch is padded to."""
        return next((allowed for allowed in self.allowed_sizes if allowed >= size), size)


def batch_options(message: Any) -> BatchOptions:
    """Read BatchingParameters; nothing is checked yet."""
    options = BatchOptions(threads=os.cpu_count() or 1)
    size = message.max_batch_size.value if message.HasField("max_batch_size") else options.max_batch_size
    split = message.enable_large_batch_splitting.value
    execution = message.max_execution_batch_size.value if message.HasField("max_execution_batch_size") else size
    enqueued = message.max_enqueued_batches.value if message.HasField("max_enqueued_batches") else options.max_enqueued
    return replace(
        options,
        max_batch_size=size,
        max_execution_size=execution if split else size,
        timeout_seconds=message.batch_timeout_micros.value / 1e6,
        max_enqueued=enqueued if split else max(enqueued, 1),
        threads=message.num_batch_threads.value if message.HasField("num_batch_threads") else options.threads,
        allowed_sizes=tuple(message.allowed_batch_sizes),
        pad_variable_length=message.pad_variable_length_inputs,
        split_large=split,
    )


def check_options(options: BatchOptions) -> None:
    """Refuse contradictions as the server does, when a model is loaded; ``InvalidArgumentError`` with its text."""
    _check_numbers(options)
    sizes = options.allowed_sizes
    if options.split_large and options.max_execution_size > options.max_batch_size:
        raise InvalidArgumentError("max_batch_size should be greater than or equal to max_execution_batch_size")
    if not sizes:
        return
    if any(later <= earlier for earlier, later in itertools.pairwise(sizes)):
        raise InvalidArgumentError("allowed_batch_sizes entries must be monotonically increasing")
    if sizes[-1] != options.max_batch_size:
        # also where large batches are split (bundle_factory_util.cc, WrapSessionForBatching)
        raise InvalidArgumentError(
            "Last entry in allowed_batch_sizes must match max_batch_size; "
            f"last entry was {sizes[-1]}; expected {options.max_batch_size}"
        )


def _check_numbers(options: BatchOptions) -> None:
    for name, number in (
        ("input_batch_size_limit", options.max_batch_size),
        ("max_enqueued_batches", options.max_enqueued),
    ):
        if number < 1:
            raise InvalidArgumentError(f"{name} must be positive; was {number}")
    if options.timeout_seconds < 0:
        micros = round(options.timeout_seconds * 1e6)
        raise InvalidArgumentError(f"batch_timeout_micros must be non-negative; was {micros}")


def model_options(common: BatchOptions, version_dir: Path, *, per_model: bool) -> BatchOptions | None:
    """Return the options of one version; with ``per_model`` those of its own file, ``None`` if it has none."""
    if not per_model:
        return common
    path = version_dir / PER_MODEL_FILE
    if not path.is_file():
        return None
    from google.protobuf import text_format

    try:
        message = protos.parse_text(read_regular(path).decode("utf-8"), protos.BatchingParameters())
    except (OSError, UnicodeDecodeError, text_format.ParseError) as error:
        raise InvalidArgumentError(f"Invalid protobuf file: '{path}'") from error
    return replace(batch_options(message), threads=common.threads)
