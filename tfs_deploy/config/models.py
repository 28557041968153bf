# SPDX-License-Identifier: Apache-2.0
"""models.config: made from a deployment, rendered, parsed, and checked by the server's own rules."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.config.policies import set_policy
from tfs_deploy.deployment.active import apply_active
from tfs_deploy.errors import Problem
from tfs_deploy.protos.text_format import field_lines, parse_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfs_deploy.deployment.active import ActiveModel
    from tfs_deploy.deployment.deployment import Deployment, Model

#: the only platform of the stock server
PLATFORM = "tensorflow"
_MODEL: Final = ("model_config_list", "config")
_FIRST_NAME: Final = re.compile(r"\w+")


def model_server_config(deployment: Deployment, active: Mapping[str, ActiveModel] | None = None) -> Any:
    """Make the ``ModelServerConfig`` of a deployment, as rollouts have moved it (``active``), models in file order.

    Request logging is never written: the stock server refuses any ``logging_config`` (server_core.cc).
    """
    current = apply_active(deployment, active or {})[0]
    message = protos.ModelServerConfig()
    # The list is set even when it is empty: a config without one is refused, one with an empty list serves nothing.
    message.model_config_list.SetInParent()
    for model in current.models:
        _add(message.model_config_list.config.add(), model, str(deployment.served_path(model)))
    return message


def _add(config: Any, model: Model, base_path: str) -> None:
    config.name = model.name
    config.base_path = base_path
    config.model_platform = PLATFORM
    set_policy(config, model.version_policy)
    for label in sorted(model.labels):
        config.version_labels[label] = model.labels[label]


def render(message: Any) -> str:
    """Write a config as text: models in their order, labels by name; ``parse`` gives the same message back."""
    return protos.to_text(message)


def parse(text: str, *, source: str = "models.config") -> Any:
    """Read a ``ModelServerConfig`` from text format; ``SpecError`` with ``source`` and the line if it is not one."""
    return parse_message(text, protos.ModelServerConfig(), source=source)


def check(message: Any, *, source: str = "models.config", text: str | None = None) -> list[Problem]:
    """Return what the server would refuse in a config (server_core.cc), all at once.

    ``text`` is what the config was parsed from; with it the problems name the line of their key, or of their model.
    """
    if message.WhichOneof("config") == "custom_model_config":
        return [Problem(source, 1, "custom_model_config", "makes the stock server abort: use model_config_list")]
    if message.WhichOneof("config") is None:
        return [Problem(source, 1, "", "no model_config_list: the server refuses an empty config")]
    lines = model_lines(text or "")
    problems = []
    seen: set[str] = set()
    for index, config in enumerate(message.model_config_list.config):
        for key, problem in _model_problems(config, seen):
            path = f"model_config_list.config[{index}]{key}"
            problems.append(Problem(source, line_of(lines, index, key), path, problem))
        seen.add(config.name)
    return problems


def model_lines(text: str) -> list[dict[str, int]]:
    """Return for each model of a config's text the line of its block, as ``""``, and of each of its keys."""
    models: list[dict[str, int]] = []
    for path, line in field_lines(text):
        if path == _MODEL:
            models.append({"": line})
        elif path[: len(_MODEL)] == _MODEL:
            models[-1].setdefault(path[len(_MODEL)], line)
    return models


def line_of(lines: list[dict[str, int]], index: int, key: str) -> int:
    """Return the line of a key such as ``.version_labels[stable]`` of one model, or of the nearest thing around it."""
    model = lines[index] if index < len(lines) else {"": 1}
    return model.get(_FIRST_NAME.findall(key)[0] if key else "", model[""])


def _model_problems(config: Any, seen: set[str]) -> Iterator[tuple[str, str]]:
    if not config.name:
        yield ".name", "is missing: the server would serve the model under an empty name"
    if config.name in seen:
        yield ".name", f"model {config.name!r} is listed twice"
    path = config.base_path
    if not (path.startswith("/") or "://" in path):
        yield ".base_path", f"must be absolute, not {path!r}"
    elif path.startswith("s3://"):
        yield ".base_path", f"{path}: the stock server has no S3 support, copy the model to a directory"
    if config.model_type and config.model_platform:
        yield ".model_type", "is deprecated and refused beside model_platform"
    elif not (config.model_type or config.model_platform):
        yield ".model_platform", f'is missing, write model_platform: "{PLATFORM}"'
    elif config.model_platform and config.model_platform != PLATFORM:
        yield ".model_platform", f"{config.model_platform!r} is not served, only {PLATFORM!r} is"
    if config.HasField("logging_config"):
        yield ".logging_config", "is refused by the stock server, which has no request logger"
    policy = config.model_version_policy
    if policy.WhichOneof("policy_choice") == "specific" and not policy.specific.versions:
        yield ".model_version_policy.specific", "lists no version: the server would unload everything"
    for label, version in sorted(config.version_labels.items()):
        if policy.HasField("specific") and version not in policy.specific.versions:
            yield f".version_labels[{label}]", f"version {version} is not among those of the specific policy"
