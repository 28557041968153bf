# SPDX-License-Identifier: Apache-2.0
"""How inputs are merged and padded, and which outputs can be split again (batching_session.cc, batching_util.cc)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tfs_deploy.errors import StatusError
from tfs_deploy.server.batching.runner import check_outputs, merge_inputs
from tfs_deploy.server.batching.scheduler import BatchTask


def tasks(*arrays: Any) -> list[BatchTask]:
    return [BatchTask({"x": np.asarray(array)}, len(array), None, 0.0) for array in arrays]


@pytest.mark.parametrize(
    ("arrays", "padding", "pad_shapes", "merged"),
    [
        ([[1], [2, 3]], 0, False, [1, 2, 3]),
        # copies of the last task's first row
        ([[1], [2, 3]], 2, False, [1, 2, 3, 2, 2]),
        # each part is widened with its own first element
        ([[[1, 2]], [[5, 6, 7]]], 0, True, [[1, 2, 1], [5, 6, 7]]),
        ([[[[1, 2], [3, 4]]], [[[5], [6], [7]]]], 0, True, [[[1, 2], [3, 4], [1, 1]], [[5, 5], [6, 5], [7, 5]]]),
        ([[[b"a"]], [[b"b", b"c"]]], 1, True, [[b"a", b"a"], [b"b", b"c"], [b"b", b"c"]]),
    ],
)
def test_merging(arrays: list[Any], padding: int, *, pad_shapes: bool, merged: list[Any]) -> None:
    given = [np.array(array, object if isinstance(merged[0], list) and b"a" in merged[0] else None) for array in arrays]
    found = merge_inputs(tasks(*given), padding, pad_shapes=pad_shapes)["x"]
    assert found.tolist() == merged


@pytest.mark.parametrize(
    ("arrays", "pad_shapes", "text"),
    [
        ([np.zeros((1, 2)), np.zeros((1, 3))], False, "FAILED_PRECONDITION: Tensors with name 'x' from different"),
        ([np.zeros((1, 2)), np.zeros((1, 2, 1))], True, "INVALID_ARGUMENT: Tensors with name 'x' from different tasks"),
        ([np.zeros((1, 0)), np.zeros((1, 3))], True, "INVALID_ARGUMENT: Got empty tensor in batch of non-empty tens"),
        ([np.zeros((1,) * 7)], True, "INVALID_ARGUMENT: Only tensors with rank from 1 to 6 can be padded."),
        (
            [np.zeros(1, np.float32), np.zeros(1, np.int32)],
            False,
            (
                "INTERNAL: Tensor concat operation failed: INVALID_ARGUMENT: Cannot concatenate tensors that have "
                "different data types. Got float and int32."
            ),
        ),
    ],
)
def test_what_cannot_be_merged(arrays: list[Any], *, pad_shapes: bool, text: str) -> None:
    with pytest.raises(StatusError) as caught:
        merge_inputs(tasks(*arrays), 0, pad_shapes=pad_shapes)
    assert f"{caught.value.code.name}: {caught.value.message}".startswith(text)


@pytest.mark.parametrize("array", [np.float32(1), np.zeros(3)])
def test_outputs_without_as_many_rows(array: Any) -> None:
    with pytest.raises(StatusError, match=r"0th dimension|0 dimensions"):
        check_outputs([np.asarray(array)], 4)
