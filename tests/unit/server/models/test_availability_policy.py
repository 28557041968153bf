# SPDX-License-Identifier: Apache-2.0
"""What the manager does next: pure decisions (availability_preserving_policy.cc)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.server.models.availability_policy import Action, Phase, Snapshot, next_action

NEW, BUSY, READY, ENDED = Phase.NEW, Phase.BUSY, Phase.READY, Phase.ENDED


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([], None),
        ([Snapshot(1, NEW, aspired=True)], Action(load=True, version=1)),
        # the highest new version first
        ([Snapshot(1, NEW, aspired=True), Snapshot(2, NEW, aspired=True)], Action(load=True, version=2)),
        # the old version stays until the new one is ready
        ([Snapshot(1, READY, aspired=False), Snapshot(2, NEW, aspired=True)], Action(load=True, version=2)),
        ([Snapshot(1, READY, aspired=False), Snapshot(2, BUSY, aspired=True)], None),
        ([Snapshot(1, READY, aspired=False), Snapshot(2, READY, aspired=True)], Action(load=False, version=1)),
        # ... also when the new one has failed
        ([Snapshot(1, READY, aspired=False), Snapshot(2, ENDED, aspired=True)], None),
        # nothing aspired: everything goes
        ([Snapshot(1, READY, aspired=False)], Action(load=False, version=1)),
        # of several old ones all but the highest go at once, the lowest first
        (
            [Snapshot(1, READY, aspired=False), Snapshot(2, READY, aspired=False), Snapshot(3, NEW, aspired=True)],
            Action(load=False, version=1),
        ),
        # unloading goes before loading
        (
            [Snapshot(1, READY, aspired=False), Snapshot(2, READY, aspired=True), Snapshot(3, NEW, aspired=True)],
            Action(load=False, version=1),
        ),
    ],
)
def test_next_action(versions: list[Snapshot], expected: Action | None) -> None:
    assert next_action(versions) == expected


snapshots = st.lists(
    st.builds(Snapshot, st.integers(-3, 9), st.sampled_from(Phase), aspired=st.booleans()),
    unique_by=lambda snapshot: snapshot.version,
)


@given(snapshots)
def test_the_last_ready_version_goes_only_if_nothing_is_aspired(versions: list[Snapshot]) -> None:
    action = next_action(versions)
    ready = [snapshot for snapshot in versions if snapshot.phase is READY]
    if action is not None and not action.load and len(ready) == 1:
        assert not any(snapshot.aspired for snapshot in versions)


@given(snapshots)
def test_actions_concern_versions_in_the_right_phase(versions: list[Snapshot]) -> None:
    action = next_action(versions)
    if action is not None:
        (chosen,) = (snapshot for snapshot in versions if snapshot.version == action.version)
        assert (chosen.phase, chosen.aspired) == ((NEW, True) if action.load else (READY, False))
