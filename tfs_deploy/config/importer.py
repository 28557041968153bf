"""A deployment file from an existing models.config."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.config.models import check, line_of, model_lines, parse
from tfs_deploy.config.policies import policy_of
from tfs_deploy.deployment.file import problems_of
from tfs_deploy.errors import Problem, SpecError, UsageError
from tfs_deploy.protos.text_format import field_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.deployment.file.yaml_reader import KeyPath

#: a path in the deployment file, and the keys of a model that have another name in a models.config
_IN_MODEL = re.compile(r"models\[(\d+)\](.*)")
_LABELS = ("model_config_list", "config", "version_labels")
_KEYS = {".versions": ".model_version_policy", ".labels": ".version_labels"}


def deployment_document(text: str, *, name: str, source: str = "models.config") -> dict[str, Any]:
    """Return the deployment file, as values, for what a ``models.config`` says.

    Raises ``SpecError`` with every line that the server would refuse, or that a deployment file cannot express;
    ``UsageError`` for a name that a deployment cannot have.
    """
    message = parse(text, source=source)
    problems = check(message, source=source, text=text)
    problems += _doubled_labels(text, source)
    if not message.model_config_list.config and not problems:
        problems.append(Problem(source, 1, "model_config_list", "lists no model"))
    document = {"name": name, "models": [_model(config) for config in message.model_config_list.config]}
    found = problems_of(document, source, _lines(message, text)) if document["models"] else []
    for problem in found:
        if problem.path == "name":
            raise UsageError(f"--name {problem.message}", hint="give another name for the deployment")
    named = {problem.path for problem in problems}
    problems += [problem for problem in map(_in_config, found) if problem.path not in named]
    if problems:
        problems.sort(key=lambda problem: problem.line)
        raise SpecError(problems, hint="correct the file, or leave these models out of it")
    return document


def _doubled_labels(text: str, source: str) -> Iterator[Problem]:
    """Find labels that are given twice, of which the server takes the last without a word."""
    lines = iter(
        [line for path, line in field_lines(text) if path == ("model_config_list", "config", "version_labels")]
    )
    message = protos.parse_text(text, protos.entries_class("tensorflow.serving.ModelServerConfig")())
    for index, config in enumerate(message.model_config_list.config):
        seen: set[str] = set()
        for entry in config.version_labels:
            line = next(lines, 1)
            if entry.key in seen:
                path = f"model_config_list.config[{index}].version_labels[{entry.key}]"
                yield Problem(source, line, path, "is given twice")
            seen.add(entry.key)


def _lines(message: Any, text: str) -> dict[KeyPath, int]:
    """Return where the values of a deployment file stand in the text that they were made of."""
    lines: dict[KeyPath, int] = {}
    models = model_lines(text)
    for index, _ in enumerate(message.model_config_list.config):
        lines["models", index] = line_of(models, index, "")
        for key in ("name", "base_path", "versions", "labels"):
            lines["models", index, key] = line_of(models, index, _KEYS.get(f".{key}", f".{key}"))
    return lines


def _in_config(problem: Problem) -> Problem:
    """Return a problem of the deployment file in the words of the models.config."""
    match = _IN_MODEL.fullmatch(problem.path)
    if match is None:
        return problem
    key = match[2]
    for ours, theirs in _KEYS.items():
        if key.startswith(ours):
            label = key[len(ours) :].lstrip(".")
            key = theirs + (f"[{label}]" if label and ours == ".labels" else "")
    return Problem(problem.file, problem.line, f"model_config_list.config[{match[1]}]{key}", problem.message)


def _model(config: Any) -> dict[str, Any]:
    policy = policy_of(config)
    versions: Any = "all" if policy.kind == "all" else {"latest": policy.count}
    if policy.kind == "specific":
        versions = {"specific": list(policy.versions)}
    model: dict[str, Any] = {"name": config.name, "base_path": config.base_path, "versions": versions}
    if config.version_labels:
        model["labels"] = dict(sorted(config.version_labels.items()))
    return model
