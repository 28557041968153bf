"""Which versions are served, and what the manager does next: pure decisions."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy import protos
from tfs_deploy.savedmodel.versions import VersionDir
from tfs_deploy.server.models.policy import Action, Phase, Snapshot, VersionPolicy, aspired_versions, next_action


def dirs(*names: str) -> list[VersionDir]:
    return [VersionDir(int(name), Path("/base") / name) for name in names]


def numbers(versions: list[VersionDir]) -> list[int]:
    return [version.number for version in versions]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [3]),
        ("latest { }", [3]),
        ("latest { num_versions: 0 }", [3]),
        ("latest { num_versions: 2 }", [2, 3]),
        ("latest { num_versions: 9 }", [-1, 1, 2, 3]),
        ("all { }", [-1, 1, 2, 3]),
        ("specific { versions: 2 versions: 1 versions: 7 }", [1, 2]),
        ("specific { }", []),
    ],
)
def test_policies(text: str, expected: list[int]) -> None:
    message = protos.parse_text(text, protos.ModelConfig().model_version_policy)
    found = dirs("1", "2", "3", "-1")
    assert numbers(aspired_versions(VersionPolicy.from_message(message), found)) == expected


def test_a_specific_version_prefers_the_plain_spelling() -> None:
    policy = VersionPolicy(specific=frozenset({7}))
    for order in (dirs("7", "007"), dirs("007", "7")):
        assert aspired_versions(policy, order)[0].path.name == "7"


def test_two_spellings_of_a_number_are_one_version() -> None:
    assert numbers(aspired_versions(VersionPolicy(all=True), dirs("1", "01"))) == [1]


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
