# SPDX-License-Identifier: Apache-2.0
"""What the failures of MLflow's client mean, from texts as MLflow 3.17 has them, and which folder a version is."""

from __future__ import annotations

import pytest

from tfs_deploy.deployment.address import parse_address
from tfs_deploy.errors import EnvironmentFault, ModelError, UsageError
from tfs_deploy.store.places.mlflow import find_saved_model
from tfs_deploy.store.places.mlflow_faults import registry_name, sentence

WHERE = parse_address("mlflow:models/digits/3")
REST = "API request to endpoint /api/2.0/mlflow/model-versions/search failed with error code {} != 200. 5ecret"


@pytest.mark.parametrize(
    ("text", "code", "kind", "words"),
    [
        (REST.format(401), "UNAUTHENTICATED", EnvironmentFault, "does not permit reading of mlflow:models/digits/3"),
        (REST.format(403), "PERMISSION_DENIED", EnvironmentFault, "does not permit reading"),
        ("403 Client Error: FORBIDDEN for url: https://u:5ecret@h/x", "HTTPError", EnvironmentFault, "does not permit"),
        ("Registered Model with name=digits not found", "RESOURCE_DOES_NOT_EXIST", ModelError, "does not have"),
        ("Registered model alias x not found.", "INVALID_PARAMETER_VALUE", ModelError, "does not have"),
        ("failed with exception HTTPConnectionPool(5ecret)", "INTERNAL_ERROR", EnvironmentFault, "cannot be reached"),
        (REST.format(503), "INTERNAL_ERROR", EnvironmentFault, "failed (503) while reading"),
        ("429 Client Error: 5ecret", "HTTPError", EnvironmentFault, "failed (429)"),
        (REST.format(400), "BAD_REQUEST", EnvironmentFault, "refuses reading (400)"),
        ("INTERNAL_ERROR: 5ecret", "INTERNAL_ERROR", EnvironmentFault, "failed (INTERNAL_ERROR)"),
        ("failed with exception: too many 502 error responses", "INTERNAL_ERROR", EnvironmentFault, "failed (502)"),
        ("5ecret", "INVALID_STATE", EnvironmentFault, "refuses reading (INVALID_STATE)"),
    ],
)
def test_each_failure_has_its_sentence_without_a_secret(text, code, kind, words):
    error = sentence(text, code, "https://user:5ecret@registry.example.com/x?token=5ecret", WHERE, "reading")
    assert type(error) is kind
    assert words in error.message
    assert "the MLflow registry at https://registry.example.com " in f"{error.message} "
    assert error.hint
    assert "5ecret" not in str(error)


def test_a_registry_of_this_machine_says_itself_what_is_wrong():
    error = sentence("the store is in\nmaintenance mode", "INVALID_PARAMETER_VALUE", "/srv/mlruns", WHERE, "reading")
    assert isinstance(error, UsageError)
    hosted = sentence("5ecret", "INVALID_STATE", "databricks", WHERE, "reading")
    assert hosted.message == "the MLflow registry at databricks refuses reading (INVALID_STATE)"
    assert error.message == "the MLflow registry at /srv/mlruns cannot be used: the store is in maintenance mode"


def test_a_database_that_needs_more_of_mlflow_says_so():
    error = sentence("got unsupported URI 'sqlite:///x'", "INVALID_PARAMETER_VALUE", "sqlite:///x", WHERE, "reading")
    assert "pip install mlflow" in str(error.hint)


def test_a_database_is_named_without_its_password():
    assert registry_name("postgresql://user:5ecret@db:5432/mlflow") == "postgresql://db:5432"
    assert registry_name("databricks") == "databricks"
    assert registry_name("sqlite:////srv/mlflow.db") == "sqlite:////srv/mlflow.db"


@pytest.mark.parametrize(
    ("names", "folder"),
    [
        (["saved_model.pb", "variables/variables.index"], ""),
        (["saved_model.pb", "assets.extra/other/saved_model.pb"], ""),
        (["MLmodel", "data/model/saved_model.pb", "data/model/variables/variables.index"], "data/model"),
        (["MLmodel", "tf2model/saved_model.pbtxt"], "tf2model"),
    ],
)
def test_the_saved_model_is_found(names, folder):
    assert find_saved_model(names, WHERE) == folder


@pytest.mark.parametrize(
    ("names", "message", "hint"),
    [
        (
            ["MLmodel", "data/model.keras"],
            "is a Keras file, data/model.keras",
            "tfs-deploy export DIR/data/model.keras",
        ),
        (["a/saved_model.pb", "b/saved_model.pb"], "several SavedModels: a, b", "one of them"),
        (["MLmodel", "model.pkl"], "holds no SavedModel, but MLmodel, model.pkl", "register a SavedModel"),
        ([], "holds no SavedModel, but nothing", "register a SavedModel"),
    ],
)
def test_what_is_no_saved_model_is_told(names, message, hint):
    with pytest.raises(ModelError) as raised:
        find_saved_model(names, WHERE)
    assert message in raised.value.message
    assert hint in str(raised.value.hint)
