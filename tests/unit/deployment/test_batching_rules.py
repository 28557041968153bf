# SPDX-License-Identifier: Apache-2.0
"""The server's rules for batching parameters."""

from __future__ import annotations

import pytest

from tfs_deploy import protos
from tfs_deploy.config.batching import batching_parameters
from tfs_deploy.deployment import Batching
from tfs_deploy.deployment.batching_rules import check_batching


def split(largest: int, execution: int, *sizes: int) -> Batching:
    return Batching(
        largest, enable_large_batch_splitting=True, max_execution_batch_size=execution, allowed_batch_sizes=sizes
    )


@pytest.mark.parametrize(
    "batching",
    [
        Batching(),
        Batching(max_batch_size=8, allowed_batch_sizes=(2, 4, 8)),
        Batching(allowed_batch_sizes=(10, 1000)),
        split(16, 8),
        split(16, 8, 4, 16),
        split(16, 8, 4, 8, 16),
        Batching(16, enable_large_batch_splitting=True, allowed_batch_sizes=(4, 16)),
    ],
)
def test_what_the_server_takes(batching):
    assert list(check_batching(batching)) == []


@pytest.mark.parametrize(
    ("batching", "key", "message"),
    [
        (Batching(8, allowed_batch_sizes=(8, 4)), "allowed_batch_sizes", "must increase"),
        (Batching(8, allowed_batch_sizes=(8, 8)), "allowed_batch_sizes", "must increase"),
        (Batching(8, allowed_batch_sizes=(2, 4)), "allowed_batch_sizes", "max_batch_size (8), not 4"),
        (Batching(allowed_batch_sizes=(2, 4)), "allowed_batch_sizes", "max_batch_size (1000), not 4"),
        (Batching(max_execution_batch_size=4), "max_execution_batch_size", "needs enable_large_batch_splitting"),
        (split(4, 8), "max_execution_batch_size", "must not exceed"),
        (split(16, 8, 4, 8), "allowed_batch_sizes", "max_batch_size (16), not 8"),
    ],
)
def test_what_the_server_refuses(batching, key, message):
    found = list(check_batching(batching))
    assert len(found) == 1
    assert found[0][0] == key
    assert message in found[0][1]


def test_only_what_is_set_is_written(models):
    batching = Batching(max_batch_size=128, batch_timeout_micros=0, max_enqueued_batches=1000000, num_batch_threads=8)
    example = protos.parse_text((models / "batching_config.txt").read_text(), protos.BatchingParameters())
    assert batching_parameters(batching) == example
    assert batching_parameters(Batching()) == protos.BatchingParameters()
