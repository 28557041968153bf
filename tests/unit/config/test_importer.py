# SPDX-License-Identifier: Apache-2.0
"""From a models.config that exists to a deployment file that says the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy import protos
from tfs_deploy.config import model_server_config, parse, render
from tfs_deploy.config.batching import batching_parameters
from tfs_deploy.config.importer import deployment_document, with_near_paths
from tfs_deploy.deployment import Batching
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import SpecError, UsageError

names = st.from_regex(re.compile(r"[a-z0-9_\-]{1,8}", re.ASCII), fullmatch=True)
versions = st.integers(0, 2**63 - 1)
specific = st.lists(versions, min_size=1, max_size=3, unique=True)
policies = st.one_of(
    st.just("all {}"), st.integers(1, 99).map("latest {{ num_versions: {} }}".format), st.none(), specific
)


def config_text(models) -> str:
    blocks = []
    for name, policy in models:
        words = policy
        labels = ""
        if isinstance(policy, list):
            words = f"specific {{ {' '.join(f'versions: {version}' for version in policy)} }}"
            labels = f' version_labels {{ key: "stable" value: {policy[0]} }}'
        chosen = f" model_version_policy {{ {words} }}" if words else ""
        blocks.append(
            f'config {{ name: "{name}" base_path: "/m/{name}" model_platform: "tensorflow"{chosen}{labels} }}'
        )
    return "model_config_list {\n" + "\n".join(blocks) + "\n}\n"


@given(st.lists(st.tuples(names, policies), min_size=1, max_size=4, unique_by=lambda pair: pair[0]))
def test_what_is_imported_generates_the_same_again(tmp_path_factory, models):
    text = config_text(models)
    path = tmp_path_factory.mktemp("import") / "a.yaml"
    path.write_text(yaml.safe_dump(deployment_document(text, name="a"), sort_keys=False))
    again = model_server_config(load_deployment(path))
    wanted = parse(text)
    for config in wanted.model_config_list.config:
        if config.model_version_policy.HasField("specific"):
            numbers = sorted(config.model_version_policy.specific.versions)
            config.model_version_policy.specific.versions[:] = numbers
        elif not config.HasField("model_version_policy"):
            config.model_version_policy.latest.num_versions = 1
    assert render(again) == render(wanted)


@pytest.mark.parametrize(
    ("base_path", "written"),
    [
        ("/srv/models/a", "models/a"),
        ("/srv", "/srv"),
        ("/srv2/models/a", "/srv2/models/a"),
        ("/srv/../models/a", "/srv/../models/a"),
    ],
)
def test_base_paths_below_the_folder_of_the_file_are_relative_to_it(base_path, written):
    document = {"name": "shop", "models": [{"name": "a", "base_path": base_path}]}
    near = with_near_paths(document, Path("/srv"))
    assert near == {"name": "shop", "models": [{"name": "a", "base_path": written}]}


def test_everything_that_cannot_be_imported_with_its_line():
    text = """model_config_list {
      config { name: "a" base_path: "m" model_platform: "tensorflow" logging_config {} }
      config { name: "a" base_path: "gs://b/m" model_platform: "tensorflow" }
    }"""
    with pytest.raises(SpecError) as caught:
        deployment_document(text, name="x", source="m.config")
    found = [str(problem) for problem in caught.value.problems]
    assert any(line.startswith("m.config:2: ") and "must be absolute" in line for line in found)
    assert any("logging_config" in line for line in found)
    assert any(line.startswith("m.config:3: ") and "listed twice" in line for line in found)
    assert any(line.startswith("m.config:3: ") and "gs://b/m is not a directory" in line for line in found)


DOUBLED = '\n{ key: "stable" value: 1 },\n{ key: "sta" "ble" value: 2 }'
MODEL = 'name: "a" base_path: "/a" model_platform: "tensorflow"'


@pytest.mark.parametrize(
    ("config", "line", "path", "message"),
    [
        (MODEL.replace('"a"', '\n"team a/ranker"'), 1, "name", "must be letters, digits"),
        (MODEL.replace("base", "\nbase").replace('"/a"', '"gs://b/a"'), 2, "base_path", "gs://b/a is not a directory"),
        (MODEL.replace('"/a"', '"~/a"'), 1, "base_path", "must be absolute"),
        (
            f'{MODEL}\nmodel_version_policy {{ all {{}} }}\nversion_labels {{ key: "blue green" value: 1 }}',
            3,
            "version_labels[blue green]",
            "a label must be",
        ),
        (f'{MODEL} version_labels {{ key: "a" value: 1 }}', 1, "version_labels", "policy latest"),
        (
            f"{MODEL} model_version_policy {{ all {{}} }} version_labels: [{DOUBLED}]",
            3,
            "version_labels[stable]",
            "is given twice",
        ),
    ],
)
def test_what_a_deployment_file_cannot_hold_with_the_line_of_its_key(config, line, path, message):
    with pytest.raises(SpecError) as caught:
        deployment_document(f"model_config_list {{ config {{ {config} }} }}", name="x")
    (problem,) = caught.value.problems
    assert (problem.line, problem.path) == (line, f"model_config_list.config[0].{path}")
    assert message in problem.message


def test_two_models_with_one_base_path_name_the_line_of_the_first():
    configs = ["", *("config { " + MODEL.replace('"a"', name) + " }" for name in ('"a"', '"b"'))]
    with pytest.raises(SpecError, match="is already the base path of another model, at line 2") as caught:
        deployment_document("model_config_list {" + "\n".join(configs) + "}", name="x")
    assert [problem.line for problem in caught.value.problems] == [3]


def test_a_name_that_a_deployment_cannot_have():
    with pytest.raises(UsageError, match="--name must be letters"):
        deployment_document(f"model_config_list {{ config {{ {MODEL} }} }}", name="my shop!")


def test_an_empty_list_is_no_deployment():
    with pytest.raises(SpecError, match="lists no model"):
        deployment_document("model_config_list {}", name="x")


@pytest.mark.parametrize("name", ["good_model_config.txt", "models.config"])
def test_real_examples_are_imported(models, name):
    text = re.sub(r"\$\{(\w+)\}", r"/\1", (models / name).read_text())
    document = deployment_document(text, name="x")
    assert document["models"][0]["name"] == "half_plus_two"


def test_base_paths_of_a_container_become_those_of_this_machine():
    models = "".join(
        f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" }}\n'
        for name, path in {"a": "/models/a", "b": "/models/big/b", "c": "/modelsc", "d": "/models"}.items()
    )
    document = deployment_document(
        f"model_config_list {{\n{models}}}", name="x", base_paths={"/models/": "/srv/m", "/models/big": "/mnt"}
    )
    assert [model["base_path"] for model in document["models"]] == ["/srv/m/a", "/mnt/b", "/modelsc", "/srv/m"]


def test_batching_and_monitoring_are_imported(models):
    text = f"model_config_list {{ config {{ {MODEL} }} }}"
    batching = (models / "batching_config.txt").read_text()
    document = deployment_document(
        text,
        name="x",
        batching=(batching, "b"),
        monitoring=('prometheus_config { enable: true path: "/metrics" }', "m"),
    )
    section = Batching(**document["batching"])
    assert batching_parameters(section) == protos.parse_text(batching, protos.BatchingParameters())
    assert document["monitoring"] == {"prometheus": True, "path": "/metrics"}
    sizes = deployment_document(
        text, name="x", batching=("max_batch_size { value: 4 } allowed_batch_sizes: [2, 4]", "b")
    )
    assert sizes["batching"] == {"max_batch_size": 4, "allowed_batch_sizes": [2, 4]}


@pytest.mark.parametrize(
    ("batching", "line", "message"),
    [
        (
            "max_batch_size { value: 8 }\nallowed_batch_sizes: 2\nallowed_batch_sizes: 4",
            3,
            "must be max_batch_size (8)",
        ),
        ("# pool\nthread_pool_name { value: 'x' }", 2, "has no key in a deployment file"),
        ("\nmax_batch: 4", 2, "no field named"),
    ],
)
def test_batching_that_cannot_be_imported_with_its_line(batching, line, message):
    with pytest.raises(SpecError) as caught:
        deployment_document(f"model_config_list {{ config {{ {MODEL} }} }}", name="x", batching=(batching, "b.config"))
    (problem,) = caught.value.problems
    assert (problem.file, problem.line) == ("b.config", line)
    assert message in problem.message
