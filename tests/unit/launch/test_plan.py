"""What ``up`` would do, in order, out of facts."""

from __future__ import annotations

import dataclasses

import pytest

from tfs_deploy.config import parse
from tfs_deploy.config.diff import diff
from tfs_deploy.launch.docker.container import Ports
from tfs_deploy.launch.memory import Memory
from tfs_deploy.launch.plan import Facts, make_plan

FITS = Memory(10, 20, 1000, "this machine")


def config(*models: str):
    blocks = "".join(f'config {{ model_platform: "tensorflow" base_path: "/m" {model} }}' for model in models)
    return parse(f"model_config_list {{ {blocks} }}")


def model(name: str, *versions: int, **labels: int) -> str:
    served = " ".join(f"versions: {version}" for version in versions)
    named = " ".join(f'version_labels {{ key: "{label}" value: {version} }}' for label, version in labels.items())
    return f'name: "{name}" model_version_policy {{ specific {{ {served} }} }} {named}'


def facts(**changes) -> Facts:
    usual = Facts(
        current=config(model("a", 1, stable=1)),
        target=config(model("a", 1, stable=1)),
        on_disk={"a": [1, 2, 3], "b": [7]},
        loaded={"a": {1}},
        server="server 1",
        ports=Ports(8500, 8501),
    )
    return dataclasses.replace(usual, **changes)


def plan(given: Facts, memory: Memory = FITS):
    changes = diff(given.current, given.target).lines() if given.server else ["a: specific 1"]
    return make_plan(given, changes, memory)


def test_nothing_to_do():
    found = plan(facts())
    assert not found
    assert (found.action, found.steps, found.changes, found.refused) == ("none", (), (), ())


def test_a_start():
    found = plan(facts(server=None, loaded={}, current=config()))
    assert found.action == "start"
    assert found.steps == (
        "start a server on gRPC port 8500 and REST port 8501",
        "load a version 1",
        "wait until every version is available",
        "point label stable of a at version 1",
    )


def test_two_loads_then_labels_then_the_unload():
    """Load 2 and 3, wait, label, unload 1: labels move only to what is loaded, and nothing goes before they moved."""
    found = plan(facts(target=config(model("a", 2, 3, stable=3, canary=2))))
    assert found.action == "update"
    assert found.steps == (
        "load a version 3",
        "load a version 2",
        "wait until every version is available",
        "point label canary of a at version 2",
        "point label stable of a at version 3, from version 1",
        "unload a version 1",
    )


def test_models_come_and_go():
    found = plan(facts(target=config(model("b", 7))))
    assert found.steps == ("load b version 7", "wait until every version is available", "unload a version 1")
    assert found.changes == ("b: added", "a: removed")


def test_without_a_gap_where_a_second_pair_of_ports_is_free():
    found = plan(facts(settings=("num_load_threads: none -> 2",), pair=Ports(8510, 0)))
    assert (found.action, found.gap) == ("replace", 0.0)
    assert found.steps[0] == "start a second server on gRPC port 8510"
    assert found.steps[-2:] == (
        "send the clients that follow the endpoint file there, wait for their last calls to server 1",
        "stop server 1",
    )
    assert found.changes == ("num_load_threads: none -> 2",)


@pytest.mark.parametrize(("known", "gap"), [(None, 3.0), (7.25, 7.25)])
def test_on_fixed_ports_the_gap_is_as_long_as_the_last_start(known, gap):
    found = plan(facts(settings=("x: 1 -> 2",), start_seconds=known))
    assert found.gap == gap
    assert f"stop server 1: nobody serves from here, for about {gap:.1f} s" in found.steps
    proven = found.steps.index("ask every label of it, then stop it: it has proven the settings")
    assert proven < found.steps.index(f"stop server 1: nobody serves from here, for about {gap:.1f} s")


def test_a_label_that_gets_requests_is_not_taken_away():
    routed = {"a": {"stable": 90.0, "canary": 10.0}}
    current = config(model("a", 1, 2, stable=1, canary=2))
    found = plan(facts(current=current, loaded={"a": {1, 2}}, routed=routed))
    assert found.refused == ("10 % of a goes to label canary, which cannot be removed: set its traffic",)
    assert plan(facts(current=current, loaded={"a": {1, 2}}, routed={"a": {"stable": 100.0}})).refused == ()


def test_versions_that_somebody_else_had_loaded_are_not_unloaded_unasked():
    found = plan(facts(loaded={"a": {1, 3}}, current=config(model("a", 1, 3, stable=1)), foreign={"a": [3]}))
    assert found.refused == ("a version 3 is served and nobody asked for it here: name it in the file",)


def test_too_little_memory_is_refused():
    found = plan(facts(), Memory(10, 2_000_000_000, 1_500_000_000, "server.docker.memory"))
    assert found.refused == ("about 2.0 GB of memory is needed, server.docker.memory has 1.5 GB",)
    assert found.document()["memory"]["fits"] is False
