# SPDX-License-Identifier: Apache-2.0
"""Credentials from where docker login leaves them."""

from __future__ import annotations

import base64
import json
import os

import pytest

from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.store.places.oci.login import Credentials, find_credentials, read_challenge, read_token

AUTH = base64.b64encode(b"me:se:cret").decode()


@pytest.fixture
def configured(tmp_path, monkeypatch):
    """Writes a configuration of docker login, and helpers beside it."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    def write(document: object, **helpers: str) -> None:
        (tmp_path / "config.json").write_text(document if isinstance(document, str) else json.dumps(document))
        for name, script in helpers.items():
            program = tmp_path / f"docker-credential-{name}"
            program.write_text(f"#!/bin/sh\n{script}\n")
            program.chmod(0o755)

    return write


@pytest.mark.parametrize(
    ("document", "registry", "name", "password"),
    [
        ({"auths": {"host:5000": {"auth": AUTH}}}, "host:5000", "me", "se:cret"),
        ({"auths": {"https://host/v2/": {"auth": AUTH}}}, "host", "me", "se:cret"),
        ({"auths": {"host": {"username": "me", "password": "se:cret"}}}, "host", "me", "se:cret"),
        ({"auths": {"https://index.docker.io/v1/": {"auth": AUTH}}}, "docker.io", "me", "se:cret"),
        ({"auths": {"host": {"auth": AUTH}}, "credHelpers": {"other": "gone"}}, "host", "me", "se:cret"),
    ],
)
def test_credentials_are_found_in_the_file(configured, tmp_path, document, registry, name, password):
    configured(document)
    found = find_credentials(registry)
    assert found == Credentials(str(tmp_path / "config.json"), name, password)
    assert base64.b64decode(found.basic.removeprefix("Basic ")) == b"me:se:cret"
    assert "cret" not in repr(found)


@pytest.mark.parametrize(
    "document",
    [{}, {"auths": {}}, {"auths": {"other": {"auth": AUTH}}}, {"auths": {"host": {}}}, {"auths": None}],
)
def test_there_may_be_none(configured, document):
    configured(document)
    assert find_credentials("host") is None


def test_there_may_be_no_file(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))
    assert find_credentials("host") is None


def test_an_identity_token_is_found_in_the_file(configured):
    configured({"auths": {"host": {"auth": AUTH, "identitytoken": "t0ken"}}})
    found = find_credentials("host")
    assert found is not None
    assert found.identity_token == "t0ken"


@pytest.mark.parametrize("document", [{"credHelpers": {"host": "ours"}}, {"credsStore": "ours"}])
def test_helpers_are_asked(configured, document):
    configured(document, ours="""read key; printf '{"Username": "%s", "Secret": "of-%s"}' "$1" "$key" """)
    assert find_credentials("host") == Credentials("docker-credential-ours", "get", "of-host")


def test_a_helper_may_hold_an_identity_token_or_nothing(configured):
    document = {"credsStore": "ours", "auths": {"host": {"auth": AUTH}}}
    configured(document, ours="""echo '{"Username": "<token>", "Secret": "t0ken"}'""")
    assert find_credentials("host") == Credentials("docker-credential-ours", identity_token="t0ken")
    configured(document, ours="echo credentials not found in native keychain; exit 1")
    found = find_credentials("host")
    assert found is not None
    assert found.name == "me", "the file is read then"


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (None, "docker-credential-ours, which .*config.json names, is not installed"),
        ("echo s3cret; exit 3", r"docker-credential-ours failed \(exit code 3\)"),
        ("echo s3cret", "docker-credential-ours gave no valid answer"),
    ],
)
def test_a_helper_that_does_not_work_is_told(configured, script, message):
    configured({"credsStore": "ours"}, **({} if script is None else {"ours": script}))
    with pytest.raises(EnvironmentFault, match=message) as raised:
        find_credentials("host")
    assert raised.value.hint
    assert "s3cret" not in f"{raised.value}{raised.value.__cause__}"


@pytest.mark.parametrize(
    "document",
    [
        "{",
        "[]",
        {"credHelpers": ["ours"]},
        {"credsStore": "../../bin/sh"},
        {"auths": ["host"]},
        {"auths": {"host": "s3cret"}},
        {"auths": {"host": {"auth": "s3cret!"}}},
        {"auths": {"host": {"auth": 7}}},
    ],
)
def test_a_file_that_is_not_valid_is_told(configured, document):
    configured(document)
    with pytest.raises(UsageError, match=r"config\.json is not a valid configuration of docker login") as raised:
        find_credentials("host")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("header", "kind", "parameters"),
    [
        ('Basic realm="models"', "basic", {"realm": "models"}),
        (
            'Bearer realm="https://auth/token",service="registry",scope="repository:a/b:pull,push"',
            "bearer",
            {"realm": "https://auth/token", "service": "registry", "scope": "repository:a/b:pull,push"},
        ),
        (
            "bearer REALM=https://auth/token, error=invalid_token",
            "bearer",
            {"realm": "https://auth/token", "error": "invalid_token"},
        ),
        ("", "", {}),
    ],
)
def test_challenges_are_read(header, kind, parameters):
    challenge = read_challenge(header)
    assert (challenge.kind, challenge.parameters) == (kind, parameters)


@pytest.mark.parametrize(
    ("body", "token"),
    [
        (b'{"token": "a"}', "a"),
        (b'{"access_token": "b"}', "b"),
        (b"{}", ""),
        (b"[]", ""),
        (b"x", ""),
        (b'{"token": "a\\nX: y"}', ""),
        (b'{"token": 7}', ""),
    ],
)
def test_tokens_are_read(body, token):
    assert read_token(body) == token
