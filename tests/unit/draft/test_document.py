# SPDX-License-Identifier: Apache-2.0
"""From what was found to the text of a deployment file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.deployment.file.variables import escaped
from tfs_deploy.deployment.file.yaml_reader import read_yaml
from tfs_deploy.draft.commented import commented_text, meanings
from tfs_deploy.draft.document import Choices, draft_document, next_commands
from tfs_deploy.draft.found import Found, FoundModel

CHOICES = Choices("shop", "embedded", 8500, 8501, "tensorflow/serving:2.19.1")
SAID = meanings()


def one(kind, *versions: int, base_path: str = "models/m", **more) -> Found:
    return Found(kind, "source", (FoundModel("m", Path(base_path), versions, **more),))


def model_of(found: Found, folder: str = "") -> dict:
    (model,) = draft_document(found, CHOICES, Path(folder))["models"]
    return model


def test_of_versions_on_disk_the_newest_is_served_as_stable():
    assert model_of(one("versions", 1, 2, 10)) == {
        "name": "m",
        "base_path": "models/m",
        "versions": {"specific": [10]},
        "labels": {"stable": 10},
    }


def test_a_server_goes_on_with_its_versions_and_labels():
    model = model_of(one("server", 1, 2, labels={"stable": 1, "canary": 2}))
    assert (model["versions"], model["labels"]) == ({"specific": [1, 2]}, {"stable": 1, "canary": 2})
    model = model_of(one("server", 1, 2))
    assert (model["versions"], model["labels"]) == ({"specific": [1, 2]}, {"stable": 2})


def test_a_models_config_stays_as_it_is():
    said = {"name": "imported", "models": [{"name": "m", "base_path": "/m", "versions": "all"}]}
    document = draft_document(Found("models.config", "models.config", document=said), CHOICES, Path())
    assert document["models"] == said["models"]
    assert list(document) == ["name", "models", "server"]
    assert document["name"] == "shop"


@pytest.mark.parametrize(
    ("base_path", "folder", "written"),
    [
        ("models/m", "", "models/m"),
        ("models/m", "deploy", "../models/m"),
        ("models/m", "models", "m"),
        ("/srv/m", "deploy", "/srv/m"),
    ],
)
def test_a_path_leads_from_the_file_to_the_model(base_path, folder, written):
    assert model_of(one("versions", 1, base_path=base_path), folder)["base_path"] == written


def test_a_container_has_its_image():
    docker = Choices("shop", "docker", 1, 0, "a/b:1")
    server = draft_document(one("versions", 1), docker, Path())["server"]
    assert server == {"target": "docker", "grpc_port": 1, "rest_port": 0, "docker": {"image": "a/b:1"}}


@pytest.mark.parametrize(
    ("found", "first"),
    [
        (
            Found("keras", "my net.keras", (FoundModel("m", Path("models/m"), (1,)),)),
            "export 'my net.keras' --to models/m",
        ),
        (one("savedmodel", 1), "publish source --to models/m"),
        (one("versions", 1), "config shop.yaml --check"),
    ],
)
def test_the_commands_that_follow(found, first):
    commands = [line for line, _ in next_commands(found, "shop.yaml")]
    assert commands[0] == f"tfs-deploy {first}"
    assert commands[-1] == "tfs-deploy up shop.yaml"


def test_the_text():
    found = one("versions", 1)
    text = commented_text(draft_document(found, CHOICES, Path()), SAID, next_commands(found, "shop.yaml"))
    assert text.startswith(
        "# Further keys: tfs-deploy config --schema; editors complete and explain them by the line above.\n#\n"
        "#   tfs-deploy config shop.yaml --check  checks this file, and what it names on disk\n"
        "#   tfs-deploy up shop.yaml              starts the server, or brings it in line with this file\n\n"
        "# Names the deployment: letters, digits, '_', '-', '.'.\nname: shop\n\n"
        "# The one server of this deployment.\nserver:\n"
    )
    assert "\n  # Port of the gRPC API, 1 to 65535.\n  grpc_port: 8500\n" in text
    assert "\n    # The name that clients use: letters, digits, '_', '-', '.'; each name once.\n  - name: m\n" in text
    assert "\n    # Names for versions, which clients use instead of numbers.\n    labels: {stable: 1}\n" in text
    assert text.endswith(" is 100.\n    # traffic: {stable: 100}\n")
    assert max(map(len, text.splitlines())) <= 120


def test_a_key_is_explained_once():
    models = (FoundModel("m", Path("m"), (1,)), FoundModel("p", Path("p"), (2,)))
    text = commented_text(draft_document(Found("versions", ".", models), CHOICES, Path()), SAID, [])
    assert text.count("# The name that clients use") == 1
    assert text.endswith("\n\n  - name: p\n    base_path: p\n    versions: {specific: [2]}\n    labels: {stable: 2}\n")


@pytest.mark.parametrize("odd", ["a\nstate: /tmp", "a\r\nb: 1", "a\u2028b", "a\x85b", "a\x1b[2J"])
def test_a_path_with_a_line_break_adds_no_line(odd):
    found = Found("keras", odd, (FoundModel("m", Path(odd), (1,)),))
    document = draft_document(found, CHOICES, Path())
    text = commented_text(document, SAID, next_commands(found, odd))
    parsed = read_yaml(text)
    assert (parsed.data, parsed.problems) == (document, [])


texts = st.one_of(st.text(max_size=8), st.sampled_from(["${HOME}", "a: b", "1", "yes", "#", "{a}", "x" * 200]))
sections = st.fixed_dictionaries(
    {"name": texts, "base_path": texts, "versions": st.sampled_from(["all", {"latest": 2}, {"specific": [1, 2]}])},
    optional={"labels": st.dictionaries(texts, st.integers(0, 9), max_size=2)},
)
documents = st.fixed_dictionaries(
    {"name": texts, "server": st.just({"target": "docker", "docker": {"image": "a:1"}, "flags": {"a": True}})},
    optional={
        "models": st.lists(sections, min_size=1, max_size=2),
        "batching": st.sampled_from([{}, {"max_batch_size": 4, "allowed_batch_sizes": [2, 4]}]),
        "monitoring": st.just({"prometheus": False}),
        "ssl": st.fixed_dictionaries({"key": texts, "cert": texts}),
    },
)


@given(documents)
def test_what_is_written_is_read_back(document):
    text = commented_text(escaped(document), SAID, [("tfs-deploy up a.yaml", "starts")])
    parsed = read_yaml(text)
    assert (parsed.data, parsed.problems) == (document, [])
    assert yaml.safe_load(text) == escaped(document)
