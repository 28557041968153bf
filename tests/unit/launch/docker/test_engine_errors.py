# SPDX-License-Identifier: Apache-2.0
"""What the Docker Engine and registries say, in words that name the next step."""

from __future__ import annotations

import docker.errors
import pytest
import requests

from tfs_deploy.errors import EnvironmentFault, LaunchError, PortInUseError, UsageError
from tfs_deploy.launch.docker.engine import pull_error, translated

PULLS = {
    "no such tag": ("manifest for a/b:1 not found: manifest unknown", UsageError, "no registry has image a/b:1"),
    "private": ("pull access denied for a/b, repository does not exist", UsageError, "no registry has image"),
    "denied": ("denied: requested access to the resource is denied", EnvironmentFault, "the registry refused image"),
    "no network": (
        'Get "https://registry/v2/": dial tcp: lookup registry: no such host',
        EnvironmentFault,
        "the registry of a/b:1 cannot be reached",
    ),
    "architecture": (
        "no matching manifest for linux/arm64/v8 in the manifest list entries",
        UsageError,
        "does not exist for this machine's processor",
    ),
    "disk": ("write /var/lib/docker/x: no space left on device", EnvironmentFault, "does not fit on the disk"),
}


@pytest.mark.parametrize(("said", "kind", "message"), PULLS.values(), ids=PULLS)
def test_why_an_image_was_not_pulled(said, kind, message):
    error = pull_error("a/b:1", said)
    assert type(error) is kind
    assert message in error.message
    assert error.hint


def api_error(said: str, status: int = 500) -> docker.errors.APIError:
    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("x", response=response, explanation=said)


RAISED = {
    "port": (api_error("Bind for 127.0.0.1:80 failed: port is already allocated"), PortInUseError, "publish a port"),
    "gpu": (api_error('could not select device driver "" with capabilities: [[gpu]]'), EnvironmentFault, "no GPUs"),
    "binary": (
        api_error('exec: "/usr/bin/tensorflow_model_server": stat: no such file or directory', 400),
        LaunchError,
        "the container cannot start",
    ),
    "other": (api_error("something else", 409), EnvironmentFault, "the Docker Engine refused: something else"),
    "socket": (
        docker.errors.DockerException("('Connection aborted.', PermissionError(13, 'Permission denied'))"),
        EnvironmentFault,
        "this user may not use the Docker Engine's socket",
    ),
    "down": (
        docker.errors.DockerException("('Connection aborted.', FileNotFoundError(2, 'No such file or directory'))"),
        EnvironmentFault,
        "no Docker Engine answers at",
    ),
    "refused": (
        requests.ConnectionError("('Connection aborted.', ConnectionRefusedError(111, 'Connection refused'))"),
        EnvironmentFault,
        "no Docker Engine answers at",
    ),
    "killed": (
        requests.ConnectionError("('Connection aborted.', RemoteDisconnected('closed without response'))"),
        EnvironmentFault,
        "the connection to the Docker Engine broke",
    ),
    "hangs": (requests.ReadTimeout("Read timed out. (read timeout=60)"), EnvironmentFault, "does not answer"),
}


@pytest.mark.parametrize(("raised", "kind", "message"), RAISED.values(), ids=RAISED)
def test_what_the_sdk_raises_becomes_an_error_of_ours(raised, kind, message, monkeypatch):
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    with pytest.raises(kind) as caught, translated():
        raise raised
    assert message in caught.value.message
    assert type(caught.value) is kind


def test_every_error_of_the_sdk_is_covered():
    """All of them are of the kinds that ``translated`` knows, so that none gets out as it is."""
    names = [name for name in dir(docker.errors) if isinstance(getattr(docker.errors, name), type)]
    kinds = [getattr(docker.errors, name) for name in names]
    own = [kind for kind in kinds if issubclass(kind, Exception) and kind.__module__ == "docker.errors"]
    assert len(own) > 10
    assert all(issubclass(kind, (docker.errors.DockerException, docker.errors.StreamParseError)) for kind in own)
