"""A deployment file from an existing models.config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy.config.models import check, parse
from tfs_deploy.config.policies import policy_of
from tfs_deploy.errors import Problem, SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator


def deployment_document(text: str, *, name: str, source: str = "models.config") -> dict[str, Any]:
    """Return the deployment file, as values, for what a ``models.config`` says.

    Raises ``SpecError`` with every line that the server would refuse, or that a deployment file cannot express.
    """
    message = parse(text, source=source)
    problems = check(message, source=source, text=text)
    problems += [
        Problem(source, 1, f"model_config_list.config[{index}].base_path", problem)
        for index, config in enumerate(message.model_config_list.config)
        for problem in _unsupported(config)
    ]
    if not message.model_config_list.config and not problems:
        problems.append(Problem(source, 1, "model_config_list", "lists no model"))
    if problems:
        raise SpecError(problems, hint="correct the file, or leave these models out of it")
    models = [_model(config) for config in message.model_config_list.config]
    return {"name": name, "models": models}


def _unsupported(config: Any) -> Iterator[str]:
    if "://" in config.base_path and not config.base_path.startswith("s3://"):
        yield f"{config.base_path} is not a directory of this machine: copy or mount it"


def _model(config: Any) -> dict[str, Any]:
    policy = policy_of(config)
    versions: Any = "all" if policy.kind == "all" else {"latest": policy.count}
    if policy.kind == "specific":
        versions = {"specific": list(policy.versions)}
    model: dict[str, Any] = {"name": config.name, "base_path": config.base_path, "versions": versions}
    if config.version_labels:
        model["labels"] = dict(sorted(config.version_labels.items()))
    return model
