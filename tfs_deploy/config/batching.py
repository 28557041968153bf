# SPDX-License-Identifier: Apache-2.0
"""Request batching: the parameters as the server reads them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.errors import Problem, SpecError
from tfs_deploy.protos.text_format import field_lines, parse_message

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


def batching_section(text: str, source: str) -> dict[str, Any]:
    """Return the section ``batching`` of a deployment file for the text of a ``BatchingParameters``.

    Raises ``SpecError`` if it is not one, or has a field that the section does not.
    """
    from tfs_deploy.deployment.deployment import Batching

    message = parse_message(text, protos.BatchingParameters(), source=source)
    known = {field.name for field in dataclasses.fields(Batching)}
    section = {}
    lines = {path[0]: line for path, line in field_lines(text)}
    problems = []
    for descriptor, value in message.ListFields():
        if descriptor.name not in known:
            problem = "has no key in a deployment file"
            problems.append(Problem(source, lines.get(descriptor.name, 1), descriptor.name, problem))
        elif descriptor.name == "allowed_batch_sizes":
            section[descriptor.name] = list(value)
        else:
            section[descriptor.name] = getattr(value, "value", value)
    if problems:
        raise SpecError(problems, hint="leave it out of the file: the server's default is used then")
    return section
