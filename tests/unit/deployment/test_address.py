# SPDX-License-Identifier: Apache-2.0
"""Addresses of places, as they are typed."""

from __future__ import annotations

import pytest

from tfs_deploy.deployment.address import Address, is_remote, parse_address, require_base
from tfs_deploy.errors import UsageError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models/digits", Address("dir", "", "models/digits")),
        ("/srv/models/digits@7", Address("dir", "", "/srv/models/digits@7")),
        ("s3://bucket/models/digits", Address("s3", "bucket", "models/digits")),
        ("s3://bucket/models/digits/", Address("s3", "bucket", "models/digits")),
        ("S3://bucket", Address("s3", "bucket", "")),
        ("gs://bucket/digits@7", Address("gs", "bucket", "digits", 7)),
        ("az://container/digits@0", Address("az", "container", "digits", 0)),
        ("s3://bucket@7", Address("s3", "bucket", "", 7)),
        ("oci://registry.example/models/digits", Address("oci", "registry.example", "models/digits")),
        ("oci://localhost:5000/digits", Address("oci", "localhost:5000", "digits")),
        ("oci://localhost:5000/digits:7", Address("oci", "localhost:5000", "digits", 7)),
        ("oci://[::1]:5000/digits@7", Address("oci", "[::1]:5000", "digits", 7)),
        ("oci://registry.example/models/7/", Address("oci", "registry.example", "models/7")),
        (
            "oci://registry.example/team__a/digits--v2.1@0",
            Address("oci", "registry.example", "team__a/digits--v2.1", 0),
        ),
        ("s3://bucket/Modèles/a b@9223372036854775807", Address("s3", "bucket", "Modèles/a b", 2**63 - 1)),
    ],
)
def test_what_an_address_names(text, expected):
    assert parse_address(text) == expected
    assert is_remote(text) is (expected.scheme != "dir")
    if expected.is_remote:
        assert parse_address(str(expected)) == expected


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("s3:///digits", "names no valid bucket", "s3://BUCKET/PREFIX"),
        ("az://", "names no valid container", "az://CONTAINER/PREFIX"),
        ("s3://key:secret@bucket/digits", "names no valid bucket", "credentials come from the environment"),
        ("s3://bucket/a//b", "is not a valid address", "without empty parts"),
        ("s3://bucket/a/../b", "is not a valid address", "'..'"),
        ("s3://bucket/a?b", "is not a valid address", "'?'"),
        ("s3://bucket/a\nb", "is not a valid address", "control characters"),
        ("s3://bucket/digits/7", "ends in a number", "s3://bucket/digits@7"),
        ("s3://bucket/digits@x", "valid version after its '@'", "@7"),
        ("s3://bucket/digits@9223372036854775808", "valid version after its '@'", "@7"),
        ("gcs://bucket/digits", "gcs:// is not a kind of place", "write gs://"),
        ("abfss://c/digits", "abfss:// is not a kind of place", "write az://"),
        ("oci:///digits", "names no valid registry", "oci://REGISTRY[:PORT]/REPOSITORY"),
        ("oci://me:secret@host/digits", "names no valid registry", "docker login"),
        ("oci://me:secret@host/digits@x", "the address does not name a valid version after its '@'", "@7"),
        ("s3://me:secret@host/digits@x", "the address does not name a valid version after its '@'", "@7"),
        ("oci://host:port/digits", "names no valid registry", "[:PORT]"),
        ("oci://host:65536/digits", "names no valid registry", "[:PORT]"),
        ("oci://host", "names no valid repository", "oci://host/REPOSITORY"),
        ("oci://host/Digits", "names no valid repository", "lower case"),
        ("oci://host/a/../digits", "names no valid repository", "lower case"),
        ("oci://host/digits:latest", "valid version after its ':'", "oci://host/digits:7"),
        ("oci://host/digits:007", "valid version after its ':'", "oci://host/digits:7"),
        ("oci://host/digits:-1", "valid version after its ':'", "oci://host/digits:7"),
        ("oci://host/digits:7@7", "valid version after its ':'", "oci://host/digits:7"),
        ("oci://host/digits@sha256:0a1b", "valid version after its '@'", "@7"),
        ("docker://host/digits", "docker:// is not a kind of place", "write oci://"),
        ("ftp://host/digits", "ftp:// is not a kind of place", "a directory"),
    ],
)
def test_what_is_wrong_with_an_address(text, message, hint):
    with pytest.raises(UsageError) as raised:
        parse_address(text)
    assert message in raised.value.message
    assert hint in str(raised.value.hint)
    assert "secret" not in str(raised.value)


def test_a_place_is_not_one_of_its_versions():
    assert require_base(parse_address("s3://b/m")) == Address("s3", "b", "m")
    with pytest.raises(UsageError, match="is one version"):
        require_base(parse_address("s3://b/m@7"))


def test_the_name_of_a_place_is_its_last_part():
    assert [parse_address(text).name for text in ("s3://b/models/m@7", "s3://b", "models/m/")] == ["m", "b", "m"]
