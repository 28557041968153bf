# SPDX-License-Identifier: Apache-2.0
"""What a path is taken for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tfs_deploy.draft.disk import find
from tfs_deploy.draft.found import as_name
from tfs_deploy.errors import SpecError, UsageError

CONFIG = 'model_config_list { config { name: "m" base_path: "/models/m" model_platform: "tensorflow" } }'


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(path: str) -> None:
    Path(path).mkdir(parents=True)
    (Path(path) / "saved_model.pb").write_bytes(b"")


def models(path: str) -> list[tuple[str, str, tuple[int, ...]]]:
    (found,) = find(Path(path))
    return [(model.name, str(model.base_path), model.versions) for model in found.models]


def test_a_base_path(folder):
    for version in ("1", "007", "12", "-1"):
        save(f"models/digits/{version}")
    Path("models/digits/13").mkdir()  # a copy that has not arrived yet
    assert find(Path("models/digits"))[0].kind == "versions"
    assert models("models/digits") == [("digits", "models/digits", (1, 7, 12))]


def test_one_version_of_a_base_path(folder, monkeypatch):
    save("models/digits/1")
    save("models/digits/2")
    assert models("models/digits/1") == [("digits", "models/digits", (1,))]
    monkeypatch.chdir("models/digits/2")
    assert models(".") == [("digits", "..", (2,))]


def test_a_directory_of_base_paths(folder):
    save("models/digits/1")
    save("models/my words/3")
    Path("models/notes").mkdir()
    assert models("models") == [("digits", "models/digits", (1,)), ("my-words", "models/my words", (3,))]
    assert models(".") == models("models")
    assert find(Path())[0].source == "models"


@pytest.mark.parametrize("path", ["net.keras", "net.h5"])
def test_a_keras_file_is_still_to_be_written(folder, path):
    Path(path).touch()
    (found,) = find(Path(path))
    assert (found.kind, found.unwritten, models(path)) == ("keras", True, [("net", "models/net", (1,))])
    save("models/net/4")
    assert models(path) == [("net", "models/net", (5,))]


def test_a_saved_model_outside_a_base_path_is_still_to_be_written(folder):
    save("exported")
    (found,) = find(Path("exported"))
    assert (found.kind, found.unwritten, models("exported")) == (
        "savedmodel",
        True,
        [("exported", "models/exported", (1,))],
    )


def test_a_models_config(folder):
    Path("models.config").write_text(CONFIG)
    (found,) = find(Path("models.config"), base_paths={"/models": "/srv/models"})
    assert found.kind == "models.config"
    assert found.document["models"] == [{"name": "m", "base_path": "/srv/models/m", "versions": {"latest": 1}}]
    Path("models.config").write_text("model_config_list { config { name: 3 } }")
    with pytest.raises(SpecError):
        find(Path("models.config"))


def test_of_different_things_in_a_folder_each_is_found(folder):
    save("digits/1")
    save("iris/1")
    save("exported")
    Path("net.keras").touch()
    Path("models.config").write_text(CONFIG)
    Path("notes.txt").write_text("none of a server's")
    save(".cache/1")
    assert [(one.kind, one.source) for one in find(Path())] == [
        ("versions", "digits"),
        ("savedmodel", "exported"),
        ("versions", "iris"),
        ("models.config", "models.config"),
        ("keras", "net.keras"),
    ]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "nowhere does not exist"),
        ("notes.txt", "notes.txt is neither a Keras file nor a models.config"),
        ("empty", "empty holds no model and no models.config"),
        ("empty/saved_model.pb", "empty/saved_model.pb is one file of a SavedModel"),
        ("pipe.keras", "pipe.keras is neither a Keras file nor a models.config"),
    ],
)
def test_what_is_nothing_to_serve_is_an_error(folder, path, message):
    Path("notes.txt").touch()
    os.mkfifo("pipe.keras")
    Path("empty").mkdir()
    if path == "empty/saved_model.pb":
        Path(path).touch()
    with pytest.raises(UsageError) as caught:
        find(Path(path))
    assert caught.value.message == message
    assert caught.value.hint.startswith("give ")


@pytest.mark.parametrize(
    ("text", "name"), [("digits", "digits"), ("my words", "my-words"), ("ä", "model"), ("..", "model"), ("-a-", "a")]
)
def test_a_name_has_the_form_of_a_model_name(text, name):
    assert as_name(text) == name
