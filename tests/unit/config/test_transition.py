# SPDX-License-Identifier: Apache-2.0
"""The steps from one config to the next: nothing a server would refuse, nothing a request would miss."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy import protos
from tfs_deploy.config import model_server_config, transition
from tfs_deploy.config.policies import policy_of
from tfs_deploy.deployment import Deployment, Model, VersionPolicy


def config(*models: Model):
    return model_server_config(Deployment("d", Path("/x/d.yaml"), Path("/x"), models))


def model(versions, name: str = "m", path: str | None = None, **labels: int) -> Model:
    policy = versions if isinstance(versions, VersionPolicy) else VersionPolicy.specific(versions)
    return Model(name, Path(path or f"/{name}"), policy, labels)


def said(steps) -> list[list[tuple[str, str, dict[str, int]]]]:
    return [
        [(model.name, str(policy_of(model)), dict(model.version_labels)) for model in step.model_config_list.config]
        for step in steps
    ]


def test_a_label_moves_after_its_version_is_loaded_and_the_old_one_goes_last():
    steps = transition(
        config(model([1], stable=1)),
        config(model([2], stable=2)),
        on_disk={"m": [1, 2]},
        loaded={"m": [1]},
    )
    assert said(steps) == [
        [("m", "specific 1, 2", {"stable": 1})],
        [("m", "specific 1, 2", {"stable": 2})],
        [("m", "specific 2", {"stable": 2})],
    ]


def test_what_is_the_same_is_one_step():
    same = config(model([1], stable=1))
    assert transition(same, same, on_disk={"m": [1]}, loaded={"m": [1]}) == [same]


def test_an_added_version_is_two_steps():
    steps = transition(
        config(model([1], stable=1)),
        config(model([1, 2], stable=1, canary=2)),
        on_disk={"m": [1, 2]},
        loaded={"m": [1]},
    )
    assert said(steps) == [
        [("m", "specific 1, 2", {"stable": 1})],
        [("m", "specific 1, 2", {"canary": 2, "stable": 1})],
    ]


def test_a_model_that_goes_stays_until_the_last_step():
    steps = transition(
        config(model([1], "old", stable=1)),
        config(model([1], "new", stable=1)),
        on_disk={"old": [1], "new": [1]},
        loaded={"old": [1]},
    )
    assert said(steps) == [
        [("new", "specific 1", {}), ("old", "specific 1", {"stable": 1})],
        [("new", "specific 1", {"stable": 1}), ("old", "specific 1", {"stable": 1})],
        [("new", "specific 1", {"stable": 1})],
    ]


def test_a_label_whose_version_is_not_loaded_is_left_out_until_it_is():
    """After a crash the file may say more than the server has; the server would refuse the whole request."""
    half_done = config(model([1, 2], stable=2))
    steps = transition(half_done, half_done, on_disk={"m": [1, 2]}, loaded={"m": [1]})
    assert said(steps) == [[("m", "specific 1, 2", {})], [("m", "specific 1, 2", {"stable": 2})]]


def test_policies_of_different_kinds_are_joined_by_what_is_on_disk():
    steps = transition(
        config(model([1])), config(model(VersionPolicy.latest(1))), on_disk={"m": [1, 2]}, loaded={"m": [1]}
    )
    assert said(steps) == [[("m", "specific 1, 2", {})], [("m", "latest 1", {})]]


def test_a_new_base_path_is_not_mixed_with_the_old_one():
    steps = transition(
        config(model([1], path="/a")), config(model([7], path="/b")), on_disk={"m": [7]}, loaded={"m": [1]}
    )
    assert said(steps) == [[("m", "specific 7", {})]]


def test_a_version_that_never_loaded_is_let_go():
    """Otherwise a broken version, once asked for, would stand in the way of every later change."""
    steps = transition(
        config(model([1, 5], stable=1)),
        config(model([1, 2], stable=2)),
        on_disk={"m": [1, 2, 5]},
        loaded={"m": [1]},
    )
    assert said(steps) == [[("m", "specific 1, 2", {"stable": 1})], [("m", "specific 1, 2", {"stable": 2})]]


def test_a_model_of_which_nothing_is_loaded_goes_at_once():
    steps = transition(config(model([5], "old")), config(model([1])), on_disk={"m": [1], "old": [5]}, loaded={})
    assert said(steps) == [[("m", "specific 1", {})]]


def test_a_model_that_goes_keeps_what_is_served_and_loads_nothing_more():
    current = config(model([1, 5], "old"), model(VersionPolicy.latest(1), "older"))
    steps = transition(
        current,
        config(model([1])),
        on_disk={"m": [1], "old": [1, 5], "older": [2, 3]},
        loaded={"old": [1], "older": [2]},
    )
    assert said(steps) == [
        [("m", "specific 1", {}), ("old", "specific 1", {}), ("older", "specific 2", {})],
        [("m", "specific 1", {})],
    ]


def test_from_nothing_that_is_loaded_to_nothing_is_one_step():
    (step,) = transition(config(model([5])), config(), on_disk={}, loaded={})
    assert step.WhichOneof("config") == "model_config_list"


def test_to_nothing():
    steps = transition(config(model([1])), config(), on_disk={"m": [1]}, loaded={"m": [1]})
    assert said(steps) == [[("m", "specific 1", {})], []]
    assert steps[-1].WhichOneof("config") == "model_config_list"


def test_from_nothing_at_all():
    target = config(model([1], stable=1))
    steps = transition(protos.ModelServerConfig(), target, on_disk={"m": [1]}, loaded={})
    assert said(steps) == [[("m", "specific 1", {})], [("m", "specific 1", {"stable": 1})]]


DISK = [1, 2, 3]


@st.composite
def any_model(draw) -> Model:
    policy = draw(
        st.one_of(
            st.builds(VersionPolicy.specific, st.lists(st.sampled_from(DISK), min_size=1)),
            st.builds(VersionPolicy.latest, st.integers(1, 3)),
            st.just(VersionPolicy.all()),
        )
    )
    served = policy.select(DISK)
    labels = draw(st.dictionaries(st.sampled_from(["stable", "canary"]), st.sampled_from(served)))
    return Model(draw(st.sampled_from("ab")), Path("/m"), policy, labels)


any_models = st.lists(any_model(), max_size=2, unique_by=lambda model: model.name)


@given(any_models, any_models, st.data())
def test_no_step_is_refused_and_no_label_is_ever_left_alone(before, after, data):
    """Play the steps against the server's rules; only what was loaded may be labelled, only unlabelled may go."""
    current, target = config(*before), config(*after)
    loaded = {m.name: set(m.version_policy.select(DISK)) for m in before}
    if data.draw(st.booleans(), label="crashed while loading"):
        loaded = {name: set(list(versions)[:1]) for name, versions in loaded.items()}
    labels = {m.name: {key: v for key, v in m.labels.items() if v in loaded[m.name]} for m in before}
    on_disk = dict.fromkeys(("a", "b"), DISK)
    steps = transition(current, target, on_disk=on_disk, loaded=loaded)
    assert steps[-1] == target
    assert len(steps) <= 3
    for step in steps:
        wanted = {m.name: m for m in step.model_config_list.config}
        for name, message in wanted.items():
            for label, version in message.version_labels.items():
                assert version in loaded.get(name, ()), "a label on a version that is not loaded yet"
                labels.setdefault(name, {})[label] = version
        now = {name: set(policy_of(m).select(DISK)) for name, m in wanted.items()}
        for name, reached in labels.items():
            if name in now:
                kept = {label: v for label, v in reached.items() if label in wanted[name].version_labels}
                assert set(kept.values()) <= now[name], "a labelled version was dropped"
        loaded = now
        labels = {name: dict(m.version_labels) for name, m in wanted.items()}


def test_a_policy_that_stays_is_not_replaced_by_what_is_served():
    same = config(model(VersionPolicy.latest(1)))
    assert said(transition(same, same, on_disk={"m": [1, 2]}, loaded={"m": [1]})) == [[("m", "latest 1", {})]]
    steps = transition(
        config(model(VersionPolicy.latest(1))),
        config(model(VersionPolicy.latest(2))),
        on_disk={"m": [1, 2]},
        loaded={"m": [2]},
    )
    assert said(steps) == [[("m", "latest 2", {})]]
