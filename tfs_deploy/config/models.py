"""models.config: made from a deployment, rendered, parsed, and checked by the server's own rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.config.policies import set_policy
from tfs_deploy.deployment.active import apply_active
from tfs_deploy.errors import Problem
from tfs_deploy.protos.text_format import block_lines, parse_message

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfs_deploy.deployment.active import ActiveModel
    from tfs_deploy.deployment.deployment import Deployment, Model

#: the only platform of the stock server
PLATFORM = "tensorflow"


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

    ``text`` is what the config was parsed from; with it the problems name the line of their model.
    """
    if message.WhichOneof("config") == "custom_model_config":
        return [Problem(source, 1, "custom_model_config", "makes the stock server abort: use model_config_list")]
    if message.WhichOneof("config") is None:
        return [Problem(source, 1, "", "no model_config_list: the server refuses an empty config")]
    lines = block_lines(text, ("model_config_list", "config")) if text is not None else []
    problems = []
    seen: set[str] = set()
    for index, config in enumerate(message.model_config_list.config):
        line = lines[index] if index < len(lines) else 1
        for key, problem in _model_problems(config, seen):
            problems.append(Problem(source, line, f"model_config_list.config[{index}]{key}", problem))
        seen.add(config.name)
    return problems


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
