# SPDX-License-Identifier: Apache-2.0
"""What ``up`` would do, in order, out of facts."""

from __future__ import annotations

import dataclasses

import pytest

from tfs_deploy.config import parse
from tfs_deploy.launch.memory import Memory
from tfs_deploy.launch.planning.decide import decide
from tfs_deploy.launch.planning.facts import LaunchFacts
from tfs_deploy.launch.server import ServerPorts

FITS = Memory(10, 20, 1000, "this machine")


def config(*models: str):
    blocks = "".join(f'config {{ model_platform: "tensorflow" base_path: "/m" {model} }}' for model in models)
    return parse(f"model_config_list {{ {blocks} }}")


def model(name: str, *versions: int, **labels: int) -> str:
    served = " ".join(f"versions: {version}" for version in versions)
    named = " ".join(f'version_labels {{ key: "{label}" value: {version} }}' for label, version in labels.items())
    return f'name: "{name}" model_version_policy {{ specific {{ {served} }} }} {named}'


def facts(**changes) -> LaunchFacts:
    usual = LaunchFacts(
        current=config(model("a", 1, stable=1)),
        target=config(model("a", 1, stable=1)),
        on_disk={"a": [1, 2, 3], "b": [7]},
        loaded={"a": {1}},
        server="server 1",
        ports=ServerPorts(8500, 8501),
        memory=FITS,
    )
    return dataclasses.replace(usual, **changes)


def plan(given: LaunchFacts):
    return decide(given)


def test_nothing_to_do():
    found = plan(facts())
    assert not found
    assert (found.action, found.lines, found.changes, found.refusals) == ("none", (), (), ())


def test_what_a_start_fetches_comes_first():
    image = "pull image x:1, which the engine does not have"
    start = facts(server=None, loaded={}, current=config(), fetches=(image,))
    assert plan(start).lines[:2] == (image, "start a server on gRPC port 8500 and REST port 8501")
    assert plan(facts(settings=("image",), fetches=(image,))).lines[0] == image
    assert plan(facts(settings=("image",), fetches=(image,), pair=ServerPorts(1, 2))).lines[0] == image


def test_a_start():
    found = plan(facts(server=None, loaded={}, current=config()))
    assert found.action == "start"
    assert found.lines == (
        "start a server on gRPC port 8500 and REST port 8501",
        "load a version 1",
        "wait until every version is available",
        "point label stable of a at version 1",
    )


def test_two_loads_then_labels_then_the_unload():
    """Load 2 and 3, wait, label, unload 1: labels move only to what is loaded, and nothing goes before they moved."""
    found = plan(facts(target=config(model("a", 2, 3, stable=3, canary=2))))
    assert found.action == "update"
    assert found.lines == (
        "load a version 3",
        "load a version 2",
        "wait until every version is available",
        "point label canary of a at version 2",
        "point label stable of a at version 3, from version 1",
        "unload a version 1",
    )


def test_models_come_and_go():
    found = plan(facts(target=config(model("b", 7))))
    assert found.lines == ("load b version 7", "wait until every version is available", "unload a version 1")
    assert found.changes == ("b: added", "a: removed")


def test_without_a_gap_where_a_second_pair_of_ports_is_free():
    found = plan(facts(settings=("num_load_threads: none -> 2",), pair=ServerPorts(8510, 0)))
    assert (found.action, found.gap) == ("replace", 0.0)
    assert found.lines[0] == "start a second server on gRPC port 8510"
    assert found.lines[-2:] == (
        "send the clients that follow the endpoint file there, wait for their last calls to server 1",
        "stop server 1",
    )
    assert found.changes == ("num_load_threads: none -> 2",)


@pytest.mark.parametrize(("known", "gap"), [(None, 3.0), (7.25, 7.25)])
def test_on_fixed_ports_the_gap_is_as_long_as_the_last_start(known, gap):
    found = plan(facts(settings=("x: 1 -> 2",), start_seconds=known))
    assert found.gap == gap
    assert f"stop server 1: downtime begins, about {gap:.1f} s" in found.lines
    proven = found.lines.index("check each of its labels, then stop it: the settings work")
    assert proven < found.lines.index(f"stop server 1: downtime begins, about {gap:.1f} s")


def test_a_label_that_gets_requests_is_not_taken_away():
    routed = {"a": {"stable": 90.0, "canary": 10.0}}
    current = config(model("a", 1, 2, stable=1, canary=2))
    found = plan(facts(current=current, loaded={"a": {1, 2}}, routed=routed))
    assert found.refusals == ("10 % of the traffic of a goes to label canary, so it cannot be removed",)
    assert plan(facts(current=current, loaded={"a": {1, 2}}, routed={"a": {"stable": 100.0}})).refusals == ()


def test_a_label_that_gets_requests_must_be_in_the_file_also_when_no_server_runs():
    routed = {"a": {"prod": 100.0}, "unknown": {"prod": 100.0}}
    for found in (plan(facts(routed=routed)), plan(facts(server=None, routed=routed))):
        assert found.refusals == ("100 % of the traffic of a goes to label prod, which FILE does not have",)
        assert "traffic.json in the state directory can be deleted" in (found.refused[0].hint or "")


def test_versions_that_somebody_else_had_loaded_are_not_unloaded_unasked():
    found = plan(facts(loaded={"a": {1, 3}}, current=config(model("a", 1, 3, stable=1)), foreign={"a": [3]}))
    assert found.refusals == ("the server at server 1 serves a version 3, which FILE does not name",)


def test_too_little_memory_is_refused():
    found = plan(facts(memory=Memory(10, 2_000_000_000, 1_500_000_000, "server.docker.memory")))
    assert found.refusals == (
        (
            "the models need about 2.0 GB while the versions that serve now stay loaded, "
            "but server.docker.memory has 1.5 GB"
        ),
    )
    assert found.document()["memory"]["fits"] is False


def test_a_server_behind_its_config_keeps_a_label_until_the_label_moves():
    """The server serves 1 as stable; its config and the file say 2: the label moves before 1 is unloaded."""
    wanted = config(model("a", 2, stable=2))
    found = plan(facts(current=config(model("a", 2, stable=1)), written=wanted, target=wanted))
    assert found.lines == (
        "load a version 2",
        "wait until every version is available",
        "point label stable of a at version 2, from version 1",
        "unload a version 1",
    )


def test_clients_leave_a_label_before_it_is_removed():
    current = config(model("a", 1, 2, stable=1, canary=2))
    split = {"stable": 90.0, "canary": 10.0}
    found = plan(
        facts(
            current=current,
            loaded={"a": {1, 2}},
            traffic={"a": {"stable": 100.0}},
            traffic_file={"a": split},
            routed={"a": {"stable": 100.0}},
        )
    )
    assert found.lines == (
        "set the traffic of a: 100 % to label stable",
        "remove label canary of a",
        "unload a version 2",
    )
    assert found.refusals == ()


def test_clients_go_to_a_label_once_it_is_there():
    target = config(model("a", 1, 2, stable=1, canary=2))
    found = plan(facts(target=target, traffic={"a": {"stable": 90.0, "canary": 10.0}}))
    assert found.lines[-2:] == (
        "point label canary of a at version 2",
        "set the traffic of a: 10 % to label canary, 90 % to label stable",
    )


def test_what_a_cut_off_command_left_is_repaired_first():
    left = facts(leftovers=("stop server 7",), endpoint=("127.0.0.1:8500", None), ended_rollouts=("a",))
    assert plan(left).lines == (
        "stop server 7",
        "write endpoint.json: gRPC 127.0.0.1:8500",
        "drop the versions and labels that the last rollout set for a",
    )
    assert plan(left).action == "update"


def test_a_policy_that_selects_the_same_versions_is_sent_too():
    latest = 'name: "a" model_version_policy { latest { num_versions: 1 } } version_labels { key: "stable" value: 1 }'
    found = plan(facts(target=config(latest), on_disk={"a": [1]}))
    assert (found.action, found.lines) == ("update", ("reload the config",))
    assert found.changes == ("a: versions specific 1 -> latest 1",)
