# SPDX-License-Identifier: Apache-2.0
"""The rules of the server for the batching parameters of a deployment."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.deployment.deployment import Batching

#: what the server uses where a parameter is not set (batching_session.h, shared_batch_scheduler.h)
DEFAULT_MAX_BATCH_SIZE = 1000


def check_batching(batching: Batching) -> Iterator[tuple[str, str]]:
    """Yield (parameter, what is wrong) for what the server refuses when it loads a model.

    The last of the allowed sizes is compared with max_batch_size whether or not large batches are split
    (bundle_factory_util.cc, WrapSessionForBatching).
    """
    sizes = batching.allowed_batch_sizes
    if any(later <= earlier for earlier, later in itertools.pairwise(sizes)):
        yield "allowed_batch_sizes", "must increase from entry to entry"
        return
    largest = batching.max_batch_size or DEFAULT_MAX_BATCH_SIZE
    if batching.max_execution_batch_size is not None and not batching.enable_large_batch_splitting:
        yield "max_execution_batch_size", "needs enable_large_batch_splitting: true"
    elif batching.max_execution_batch_size is not None and batching.max_execution_batch_size > largest:
        yield "max_execution_batch_size", f"must not exceed max_batch_size ({largest})"
    if sizes and sizes[-1] != largest:
        yield "allowed_batch_sizes", f"the last entry must be max_batch_size ({largest}), not {sizes[-1]}"
