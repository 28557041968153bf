# SPDX-License-Identifier: Apache-2.0
"""The differences between two replies."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tfs_deploy.client.routing.comparison import Difference, differences, has_broken

SCORES = np.array([[0.1, 0.9], [0.8, 0.2]], np.float32)


def one(expected, actual) -> Difference:
    return differences({"y": np.asarray(expected)}, {"y": np.asarray(actual)})["y"]


@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        (SCORES, SCORES, Difference(0.0, 1.0)),
        (SCORES, SCORES[:, ::-1], Difference(1.4, 0.0)),  # mean |difference| 0.7 of a mean magnitude of 0.5
        (SCORES, [[0.2, 0.8], [0.7, 0.3]], Difference(0.2, 1.0)),  # other scores, the same classes
        ([1.0, 2.0], [1.0, 3.0], Difference(1 / 3, 0.5)),
        ([0.0, 0.0], [0.0, 0.5], Difference(1.0, 0.5)),
        ([1.0, 2.0], [1.0, np.nan], Difference(0.0, 0.5, 1)),
        ([np.nan], [np.nan], Difference(0.0, 1.0)),
        ([np.nan], [1.0], Difference(0.0, 0.0)),
        ([1, 2, 3, 4], [1, 2, 3, 5], Difference(0.25, 0.75)),
        ([[1, 2], [3, 4]], [[1, 2], [3, 5]], Difference(0.25, 0.5)),
        (np.array([b"a", b"b"], object), np.array([b"a", b"c"], object), Difference(0.5, 0.5)),
        (3.0, 3.0, Difference(0.0, 1.0)),
        ([1.0, 2.0], [1.0], Difference(1.0, 0.0)),
        (np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32), Difference(0.0, 1.0)),
    ],
)
def test_distance_agreement_and_broken_values(expected, actual, difference):
    found = one(expected, actual)

    assert (found.distance, found.agreement) == pytest.approx((difference.distance, difference.agreement), rel=1e-5)
    assert found.broken == difference.broken


def test_a_missing_output_does_not_agree_and_a_new_one_is_not_looked_at():
    assert differences({"y": SCORES}, {"z": SCORES}) == {"y": Difference(1.0, 0.0)}


FLOATS = arrays.arrays(np.float32, arrays.array_shapes(max_dims=3), elements=st.floats(width=32))


@given(FLOATS)
def test_an_array_agrees_with_itself(array):
    with np.errstate(all="raise", under="ignore"):
        assert one(array, array.copy()) == Difference(0.0, 1.0)


@given(FLOATS, st.data())
def test_the_numbers_stay_in_their_ranges(array, data):
    other = data.draw(arrays.arrays(np.float32, array.shape, elements=st.floats(width=32)))

    found = one(array, other)

    assert 0.0 <= found.agreement <= 1.0
    assert found.distance >= 0.0
    assert 0 <= found.broken <= array.size


@pytest.mark.parametrize(
    ("array", "broken"),
    [
        (np.array([1.0, np.nan]), True),
        (np.array([[1.0], [-np.inf]], np.float32), True),
        (np.array([np.inf, -np.inf], np.float16), True),
        (np.full(1000, 60_000.0, np.float16), False),  # only the sum overflows
        (np.array([1.0, 2.0]), False),
        (np.array(np.nan), True),
        (np.array([1, 2]), False),
        (np.array([b"nan"], object), False),
        (np.zeros((0, 3)), False),
    ],
)
def test_broken_values(array, broken):
    assert has_broken({"y": array}) is broken
