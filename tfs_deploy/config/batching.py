"""Request batching: the parameters as the server reads them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos

if TYPE_CHECKING:
    from tfs_deploy.deployment.deployment import Batching


def batching_parameters(batching: Batching) -> Any:
    """Make the ``BatchingParameters`` message (session_bundle_config.proto)."""
    message = protos.BatchingParameters()
    for field in dataclasses.fields(batching):
        value = getattr(batching, field.name)
        if value is None or value == ():
            continue
        if field.name == "allowed_batch_sizes":
            message.allowed_batch_sizes.extend(value)
        elif field.name == "pad_variable_length_inputs":
            message.pad_variable_length_inputs = value
        else:
            getattr(message, field.name).value = value
    return message
