# SPDX-License-Identifier: Apache-2.0
"""models.config: golden files, the round trip, and what the server would refuse."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy import protos
from tfs_deploy.config import check, config_files, model_server_config, parse, render, server_flags
from tfs_deploy.deployment import Deployment, Model, VersionPolicy
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import SpecError

GOLDEN = Path(__file__).parent / "golden"

versions = st.integers(0, 2**63 - 1)
policies = st.one_of(
    st.builds(VersionPolicy.latest, st.integers(1, 2**31 - 1)),
    st.builds(VersionPolicy.all),
    st.builds(VersionPolicy.specific, st.lists(versions, min_size=1, max_size=5)),
)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
models_list = st.lists(
    st.builds(
        Model,
        name=texts,
        base_path=texts.map(lambda text: Path("/") / text.replace("\0", "")),
        version_policy=policies,
        labels=st.dictionaries(texts, versions, max_size=3),
    ),
    max_size=4,
)


def deployment(*models: Model) -> Deployment:
    return Deployment("d", Path("/x/d.yaml"), Path("/x/.tfs-deploy/d"), models)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.yaml")), ids=lambda path: path.stem)
def test_golden_files(path):
    """What the server reads and is started with, for whole deployment files."""
    loaded = load_deployment(path)
    parts = ["# flags\n", *(f"{flag}\n" for flag in server_flags(loaded, Path("/config")))]
    parts += [f"# {name}\n{text}" for name, text in config_files(loaded).items()]
    assert "".join(parts) == path.with_suffix(".expected").read_text()


@given(models_list)
def test_what_is_rendered_is_parsed_as_the_same(models):
    message = model_server_config(deployment(*models))
    assert parse(render(message)) == message
    assert render(parse(render(message))) == render(message)


@given(models_list)
def test_nothing_that_is_made_has_request_logging_or_another_platform(models):
    for config in model_server_config(deployment(*models)).model_config_list.config:
        assert not config.HasField("logging_config")
        assert config.model_platform == "tensorflow"
        assert not config.model_type


def test_the_order_of_labels_and_versions_does_not_depend_on_the_file():
    model = Model("m", Path("/m"), VersionPolicy.specific([1, 2]), {"a": 1, "b": 2})
    other = dataclasses.replace(model, version_policy=VersionPolicy.specific([2, 1]), labels={"b": 2, "a": 1})
    assert render(model_server_config(deployment(model))) == render(model_server_config(deployment(other)))


def test_no_models_are_an_empty_list_not_an_empty_config():
    message = model_server_config(deployment())
    assert message.WhichOneof("config") == "model_config_list"
    assert check(message) == []


@pytest.mark.parametrize("name", ["good_model_config.txt", "models.config"])
def test_real_examples_parse(models, name):
    text = (models / name).read_text().replace("${", "/").replace('}"', '"')
    message = parse(text)
    assert message.model_config_list.config[0].name == "half_plus_two"
    assert check(message, text=text) == []
    assert parse(render(message)) == message


def test_a_real_example_that_the_server_refuses(models):
    with pytest.raises(SpecError) as caught:
        parse((models / "bad_model_config.txt").read_text(), source="bad_model_config.txt")
    (problem,) = caught.value.problems
    assert str(problem).startswith("bad_model_config.txt:1: ")
    assert 'no field named "improperly"' in problem.message


def test_a_syntax_error_has_its_line():
    with pytest.raises(SpecError) as caught:
        parse('model_config_list {\n  config {\n    name: "m"\n    nosuch: 3\n  }\n}\n')
    (problem,) = caught.value.problems
    assert problem.line == 4
    assert "nosuch" in problem.message


ONLY_1 = "model_version_policy { specific { versions: 1 } }"
REFUSED = {
    "no list": ("", "no model_config_list"),
    "custom": ("custom_model_config {}", "makes the stock server abort"),
    "relative path": ('base_path: "models/zoo" model_platform: "tensorflow"', "must be absolute, not 'models/zoo'"),
    "no path": ('model_platform: "tensorflow"', "must be absolute, not ''"),
    "no platform": ('base_path: "/m"', 'is missing, write model_platform: "tensorflow"'),
    "unknown platform": ('base_path: "/m" model_platform: "pytorch"', "'pytorch' is not served, only 'tensorflow' is"),
    "type and platform": ('base_path: "/m" model_platform: "tensorflow" model_type: TENSORFLOW', "is deprecated"),
    "logging": ('base_path: "/m" model_platform: "tensorflow" logging_config {}', "is refused by the stock server"),
    "no version": (
        'base_path: "/m" model_platform: "tensorflow" model_version_policy { specific {} }',
        "lists no version",
    ),
    "label outside": (
        f'base_path: "/m" model_platform: "tensorflow" version_labels {{ key: "a" value: 2 }} {ONLY_1}',
        "version 2 is not among those",
    ),
}
TWO_MODELS = """\
# a { comment
model_config_list {
  config { name: "a" base_path: "/}" model_platform: "tensorflow" }
  config { name: "m" %s }
}
"""


@pytest.mark.parametrize(("text", "expected"), REFUSED.values(), ids=REFUSED)
def test_what_the_server_refuses_is_found(text, expected):
    line = 1
    if "model_platform" in text or "base_path" in text:
        text, line = TWO_MODELS % text, 4
    (problem,) = check(parse(text), text=text)
    assert expected in problem.message
    assert problem.line == line


def test_all_that_is_refused_at_once():
    text = """model_config_list {
      config { name: "m" base_path: "a" }
      config { name: "m" base_path: "/b" model_platform: "x" }
    }"""
    found = [(problem.line, problem.path) for problem in check(parse(text), text=text)]
    assert found == [
        (2, "model_config_list.config[0].base_path"),
        (2, "model_config_list.config[0].model_platform"),
        (3, "model_config_list.config[1].name"),
        (3, "model_config_list.config[1].model_platform"),
    ]


def test_lines_are_found_in_every_way_of_writing():
    text = """model_config_list: <
      config: [
        { name: 'a{' base_path: "a" model_platform: "tensorflow" },
        { name: "b\\"}" base_path: "b" model_platform: "tensorflow" }
      ]
      config
      { name: "c" base_path: "c" model_platform: "tensorflow" }
    >"""
    assert [problem.line for problem in check(parse(text), text=text)] == [3, 4, 7]


def test_paths_that_are_addresses_are_absolute():
    text = 'model_config_list { config { name: "m" base_path: "gs://bucket/m" model_platform: "tensorflow" } }'
    assert check(parse(text)) == []


def test_messages_are_those_of_the_wire():
    message = model_server_config(deployment(Model("m", Path("/m"))))
    assert protos.ModelServerConfig.FromString(message.SerializeToString()) == message
