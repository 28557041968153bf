# SPDX-License-Identifier: Apache-2.0
"""Which batching parameters are refused, and the defaults (batching_session.cc)."""

from __future__ import annotations

import pytest

from tfs_deploy import protos
from tfs_deploy.errors import InvalidArgumentError
from tfs_deploy.server.batching.options import BatchOptions, batch_options, check_options


def options_of(text: str) -> BatchOptions:
    return batch_options(protos.parse_text(text, protos.BatchingParameters()))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_batch_size { value: 0 }", "input_batch_size_limit must be positive; was 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
        (
            "max_enqueued_batches { value: 0 } enable_large_batch_splitting { value: true }",
            "max_enqueued_batches must be positive; was 0",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: 4",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 4; expected 8",
        ),
    ],
)
def test_parameters_that_fail_the_load(text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_options(options_of(text))
    assert caught.value.message == message


def test_no_enqueued_batches_means_one_without_splitting() -> None:
    options = options_of("max_enqueued_batches { value: 0 }")
    check_options(options)
    assert options.max_enqueued == 1


def test_defaults_are_those_of_the_batch_scheduler() -> None:
    options = options_of("")
    assert (options.max_batch_size, options.max_enqueued, options.timeout_seconds) == (1000, 10, 0.0)
