# SPDX-License-Identifier: Apache-2.0
"""The choice of a label by weight: stable, and monotonic when a weight grows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.client.routing.label_choice import choose, position
from tfs_deploy.errors import UsageError

KEYS = [f"user-{number}" for number in range(200_000)]


@pytest.fixture(scope="module")
def points():
    return [position(key, "digits") for key in KEYS]


@pytest.mark.parametrize(
    "weights", [{"stable": 95, "canary": 5}, {"stable": 50, "canary": 50}, {"a": 1, "b": 2, "c": 7}]
)
def test_the_split_is_within_half_a_point(points, weights):
    total = sum(weights.values())
    counts = dict.fromkeys(weights, 0)
    for point in points:
        counts[choose(weights, point)] += 1
    for label, weight in weights.items():
        assert abs(counts[label] / len(points) - weight / total) < 0.005


def test_a_growing_canary_only_takes_keys_from_stable(points):
    before = [choose({"stable": 90, "canary": 10}, point) for point in points]
    after = [choose({"stable": 80, "canary": 20}, point) for point in points]
    moved = {(old, new) for old, new in zip(before, after, strict=True) if old != new}
    assert moved == {("stable", "canary")}


@pytest.mark.parametrize("grown", ["beta", "canary"])
def test_of_two_candidates_each_grows_alone(points, grown):
    weights = {"beta": 10, "canary": 15, "stable": 75}
    wider = {**weights, grown: weights[grown] + 20, "stable": 55}
    moved = [(choose(weights, point), choose(wider, point)) for point in points]
    assert {(old, new) for old, new in moved if old != new} == {("stable", grown)}
    assert abs(sum(old != new for old, new in moved) / len(points) - 0.2) < 0.005


def test_a_candidate_that_is_switched_off_moves_no_key_of_the_other(points):
    some = points[:20_000]
    before = [choose({"beta": 10, "canary": 15, "stable": 75}, point) for point in some]
    after = [choose({"beta": 0, "canary": 15, "stable": 85}, point) for point in some]
    assert {(old, new) for old, new in zip(before, after, strict=True) if old != new} == {("beta", "stable")}


@given(
    canary=st.integers(0, 100), more=st.integers(0, 100), key=st.text() | st.binary() | st.integers(), salt=st.text()
)
def test_monotonic_for_every_key(canary, more, key, salt):
    low, high = sorted((canary, more))
    point = position(key, salt)
    assert 0 <= point < 1
    if choose({"canary": low, "stable": 100 - low}, point) == "canary":
        assert choose({"stable": 100 - high, "canary": high}, point) == "canary"


def test_positions_never_change():
    """Consumers on other machines, and of other releases, have to agree."""
    assert position("user-1", "digits") == pytest.approx(0.9498916846547261, abs=1e-15)
    assert position("user-1", "other") != position("user-1", "digits")
    assert position(7) == position("7") == position(b"7")


def test_labels_without_weight_are_never_chosen():
    assert choose({"canary": 0, "stable": 100}, 0.0) == "stable"
    assert choose({"canary": 100, "stable": 0}, 1 - 2**-53) == "canary"
    assert choose({"a": 0.1, "b": 0.2}, 1 - 2**-53) == "b"
    with pytest.raises(UsageError, match="no label gets any traffic"):
        choose({"canary": 0}, 0.5)
