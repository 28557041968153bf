# SPDX-License-Identifier: Apache-2.0
"""ModelSpec messages to plain values and back (apis/model.proto)."""

from __future__ import annotations

from typing import Any

from tfs_deploy.errors import InvalidArgumentError
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE
from tfs_deploy.server.data_plane import ModelSpec


def read_spec(message: Any) -> ModelSpec:
    """Return a ModelSpec message as a plain value."""
    choice = message.WhichOneof("version_choice")
    return ModelSpec(
        name=message.name,
        version=message.version.value if choice == "version" else None,
        label=message.version_label if choice == "version_label" else None,
        signature=message.signature_name,
    )


def required_spec(request: Any) -> ModelSpec:
    """Return the ModelSpec of a request; refuses a request without one."""
    if not request.HasField("model_spec"):
        raise InvalidArgumentError("Missing ModelSpec")
    return read_spec(request.model_spec)


def fill_spec(message: Any, spec: ModelSpec, version: int) -> None:
    """Write into a reply's ModelSpec message which model, version and signature answered."""
    message.name = spec.name
    message.version.value = version
    message.signature_name = spec.signature or DEFAULT_SIGNATURE
