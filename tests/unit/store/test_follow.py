# SPDX-License-Identifier: Apache-2.0
"""What a follower pulls and when it looks again: decided without a store."""

from __future__ import annotations

import pytest

from tfs_deploy.deployment.deployment import VersionPolicy
from tfs_deploy.store.places.follow import next_wait, versions_to_pull
from tfs_deploy.store.retention import condemned_versions

LATEST, TWO, ALL = VersionPolicy.latest(), VersionPolicy.latest(2), VersionPolicy.all()


@pytest.mark.parametrize(
    ("published", "local", "policy", "named", "expected"),
    [
        ([1, 2, 3], [], LATEST, (), [3]),
        ([1, 2, 3], [3], LATEST, (), []),
        ([1, 2, 3], [], TWO, (), [2, 3]),
        ([1, 2, 3], [2], ALL, (), [1, 3]),
        ([1, 2, 3], [], VersionPolicy.specific([1, 9]), (), [1]),
        ([1, 2, 3], [], LATEST, (1,), [1, 3]),
        ([1, 2, 3], [1], LATEST, (1, 7), [3]),
        ([1, 2], [5], LATEST, (), []),  # a newer one was made here: the server would not serve an older one
        ([], [], ALL, (1,), []),
    ],
)
def test_what_is_pulled(published, local, policy, named, expected):
    assert versions_to_pull(published, local, policy, named) == expected


@pytest.mark.parametrize(
    ("every", "failures", "draw", "expected"),
    [(10, 0, 0.5, 10), (10, 0, 0, 8), (10, 0, 1, 12), (10, 2, 0.5, 40), (10, 99, 0.5, 300), (600, 5, 0.5, 600)],
)
def test_when_it_looks_again(every, failures, draw, expected):
    assert next_wait(every, failures, draw) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("there", "keep", "named", "expected"),
    [([1, 2, 3], 1, (), [1, 2]), ([1, 2, 3], 2, (1,), []), ([1, 2, 3], 5, (), []), ([1, 2, 3], 1, (2, 9), [1])],
)
def test_which_versions_go(there, keep, named, expected):
    assert condemned_versions(there, keep, named) == expected
