# SPDX-License-Identifier: Apache-2.0
"""Addresses of models in a registry of MLflow; MLflow's own spellings are not taken for directories."""

from __future__ import annotations

import pytest

from tfs_deploy.deployment.address import Address, is_remote, parse_address, require_base
from tfs_deploy.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mlflow:models/digits", Address("mlflow", "", "digits")),
        ("mlflow:models/digits/", Address("mlflow", "", "digits")),
        ("mlflow:models/digits/7", Address("mlflow", "", "digits", 7)),
        ("mlflow:models/digits@7", Address("mlflow", "", "digits", 7)),
        ("MLFlow:models/digits@champion", Address("mlflow", "", "digits", alias="champion")),
        ("mlflow:models/main.shop.Ziffern 語/3", Address("mlflow", "", "main.shop.Ziffern 語", 3)),
    ],
)
def test_what_an_address_names(text, expected):
    assert parse_address(text) == expected
    assert is_remote(text)
    assert parse_address(str(expected)) == expected
    assert expected.name == expected.path


def test_a_version_of_a_place_has_no_alias():
    place = parse_address("mlflow:models/digits@champion")
    assert str(place.base) == "mlflow:models/digits@champion"
    assert str(place.at(7)) == "mlflow:models/digits/7"


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("models:/digits/7", "is not a valid address", "write mlflow:models/digits/7"),
        ("models:/digits@champion", "is not a valid address", "write mlflow:models/digits@champion"),
        ("mlflow://models/digits/7", "is not a valid address", "write mlflow:models/digits/7"),
        ("mlflow:/models/digits", "is not a valid address", "write mlflow:models/digits"),
        ("mlflow:digits", "is not a valid address", "mlflow:models/NAME/VERSION"),
        ("mlflow:models", "names no valid model", "mlflow:models/NAME"),
        ("mlflow:models/../7", "names no valid model", "mlflow:models/NAME"),
        ("mlflow:models/a'b", "names no valid model", "mlflow:models/NAME"),
        ("mlflow:models/a\nb", "names no valid model", "mlflow:models/NAME"),
        ("mlflow:models/digits/latest", "valid version", "mlflow:models/digits for the newest"),
        ("mlflow:models/digits/Production", "valid version", "mlflow:models/digits@ALIAS"),
        ("mlflow:models/digits/07", "valid version", "@ALIAS"),
        ("mlflow:models/digits/9223372036854775808", "valid version", "@ALIAS"),
        ("mlflow:models/digits/7/variables", "valid version", "@ALIAS"),
        ("mlflow:models/digits@a b", "valid alias", "mlflow:models/NAME@ALIAS"),
        ("runs:/0a1b/model", "no version number", "register it"),
        ("mlflow-artifacts:/0/0a1b/artifacts", "no version number", "register it"),
    ],
)
def test_what_is_wrong_with_an_address(text, message, hint):
    assert is_remote(text)
    with pytest.raises(UsageError) as raised:
        parse_address(text)
    assert message in raised.value.message
    assert hint in str(raised.value.hint)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("s3:/models/digits", "write s3://..."),
        ("S3:models/digits", "write s3://..."),
        ("gcs:models/digits", "write gs://..."),
        ("abfss:/models/digits", "write az://..."),
    ],
)
def test_a_scheme_without_its_slashes_is_no_directory(text, hint):
    assert is_remote(text)
    with pytest.raises(UsageError, match="no // behind its scheme") as raised:
        parse_address(text)
    assert hint in str(raised.value.hint)


@pytest.mark.parametrize(
    "text", ["./mlflow:models/digits", "models/digits", "C:/models", "mlflow/digits", "shop:v2/digits"]
)
def test_what_only_looks_alike_is_a_directory(text):
    assert not is_remote(text)
    assert parse_address(text) == Address("dir", "", text)


def test_a_registry_is_only_read():
    with pytest.raises(UsageError, match="mlflow:models/digits is only read"):
        require_base(parse_address("mlflow:models/digits"))
