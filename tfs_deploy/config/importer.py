# SPDX-License-Identifier: Apache-2.0
"""A deployment file from an existing models.config."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.config.batching import batching_section
from tfs_deploy.config.models import check, line_of, model_lines, parse
from tfs_deploy.config.monitoring import monitoring_section
from tfs_deploy.config.policies import policy_of
from tfs_deploy.deployment.file import problems_of
from tfs_deploy.errors import Problem, SpecError, UsageError
from tfs_deploy.protos.text_format import field_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tfs_deploy.deployment.file.yaml_reader import KeyPath

#: a path in the deployment file, and the keys of a model that have another name in a models.config
_IN_MODEL = re.compile(r"models\[(\d+)\](.*)")
_LABELS = ("model_config_list", "config", "version_labels")
_KEYS = {".versions": ".model_version_policy", ".labels": ".version_labels"}


def deployment_document(
    text: str,
    *,
    name: str,
    source: str = "models.config",
    base_paths: Mapping[str, str] | None = None,
    batching: tuple[str, str] | None = None,
    monitoring: tuple[str, str] | None = None,
    ssl: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the deployment file, as values, for what a ``models.config`` says.

    Args:
        text: of the models.config.
        name: of the deployment.
        source: what problems call the text.
        base_paths: beginnings of base paths, as a container has them, and what is there on this machine.
        batching: text of a ``BatchingParameters``, and what problems call it.
        monitoring: text of a ``MonitoringConfig``, and what problems call it.
        ssl: the section, see ``config.ssl.ssl_section``.

    Raises ``SpecError`` with every line that the server would refuse, or that a deployment file cannot express;
    ``UsageError`` for a name that a deployment cannot have.
    """
    message = parse(text, source=source)
    for config in message.model_config_list.config:
        config.base_path = _moved(config.base_path, base_paths or {})
    problems = check(message, source=source, text=text)
    problems += _doubled_labels(text, source)
    if not message.model_config_list.config and not problems:
        problems.append(Problem(source, 1, "model_config_list", "lists no model"))
    document: dict[str, Any] = {"name": name}
    document["models"] = [_model(config) for config in message.model_config_list.config]
    document |= {} if batching is None else {"batching": batching_section(*batching)}
    document |= {} if monitoring is None else {"monitoring": monitoring_section(*monitoring)}
    document |= {} if ssl is None else {"ssl": dict(ssl)}
    found = problems_of(document, source, _lines(message, text)) if document["models"] else []
    others = {"batching": batching, "monitoring": monitoring}
    found = [_in_other(problem, others) for problem in found]
    for problem in found:
        if problem.path == "name":
            raise UsageError(f"--name {problem.message}", hint="give another name for the deployment")
    named = {problem.path for problem in problems}
    problems += [problem for problem in map(_in_config, found) if problem.path not in named]
    if problems:
        problems.sort(key=lambda problem: problem.line)
        raise SpecError(problems, hint="correct the file, or leave these models out of it")
    return document


def with_near_paths(document: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a deployment file's values for a file in ``folder``: base paths below it relative, others as they are."""
    if "models" not in document:
        return dict(document)
    models = [{**model, "base_path": _near(model["base_path"], folder.absolute())} for model in document["models"]]
    return {**document, "models": models}


def _near(base_path: str, folder: Path) -> str:
    path = Path(base_path)
    below = ".." not in path.parts and folder in path.parents
    return path.relative_to(folder).as_posix() if below else base_path


def _moved(base_path: str, base_paths: Mapping[str, str]) -> str:
    """Return a base path with its longest known beginning replaced; whole names only."""
    for begin in sorted(base_paths, key=len, reverse=True):
        prefix = begin.rstrip("/")
        if base_path == prefix or base_path.startswith(f"{prefix}/"):
            return f"{base_paths[begin].rstrip('/')}{base_path[len(prefix) :]}"
    return base_path


def _in_other(problem: Problem, others: Mapping[str, tuple[str, str] | None]) -> Problem:
    """Return a problem of a section that came from a file of its own with the name of that file."""
    section, _, key = problem.path.partition(".")
    other = others.get(section)
    if other is None:
        return problem
    text, source = other
    lines = {path[0]: line for path, line in field_lines(text)}
    return Problem(source, lines.get(key.partition("[")[0], 1), key, problem.message)


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
