# SPDX-License-Identifier: Apache-2.0
"""What TAB completes from the deployment file on the line: its models, their versions and labels, its addresses.

The file is read as it is: nothing is checked, and what is wrong in it only means that there is less to complete.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.cli.line.words import DEPLOYMENT_FILES, items

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import click
    from click.shell_completion import CompletionItem

#: a deployment file is smaller, in bytes; a bigger one is not read while a person waits
_BIGGEST: Final = 256 * 1024
#: YAML files of a directory that are looked into for the one deployment file
_MOST_FILES: Final = 20
#: labels that rollouts set
_ROLLOUT_LABELS: Final = ("stable", "canary")


def model(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the name of a model."""
    _, models = _models(context, None)
    return items((name for each in models if isinstance(name := each.get("name"), str)), typed)


def label(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete a label of the model on the line, or of all models."""
    _, models = _models(context, _chosen(context))
    known: dict[str, str] = {}
    for each in models:
        labels = each.get("labels")
        for name, version in labels.items() if isinstance(labels, dict) else ():
            known.setdefault(str(name), f"version {version}")
    return items([*known.items(), *(name for name in _ROLLOUT_LABELS if known and name not in known)], typed)


def version(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete a version on disk of the model on the line, or of all models, the newest first."""
    folder, models = _models(context, _chosen(context))
    bases = (base for each in models if isinstance(base := each.get("base_path"), str))
    return items(_versions(folder / Path(os.path.expandvars(base)).expanduser() for base in bases), typed)


def version_beside(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete a version below, or beside, the model directory on the line."""
    given = _given(context, "path") or _given(context, "old")
    if given is None:
        return []
    path = Path(given).expanduser()
    return items(_versions([path.parent if path.name.isdecimal() else path]), typed)


def target(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete where ``verify`` serves: a target, or the address of the deployment's server."""
    return [*items(["embedded", "docker"], typed), *address(context, parameter, typed)]


def address(context: click.Context, _parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Complete the address of the deployment's server: REST with --rest, else gRPC."""
    found = _deployment(context)
    if found is None:
        return []
    server = found[1].get("server")
    ports = server if isinstance(server, dict) else {}
    port = ports.get("rest_port", 8501) if context.params.get("rest") else ports.get("grpc_port", 8500)
    return items([f"127.0.0.1:{port}"] if isinstance(port, int) else [], typed)


def _chosen(context: click.Context) -> str | None:
    """Return the name of the model on the line: the argument MODEL, or --model."""
    return _given(context, "model") or _given(context, "name")


def _given(context: click.Context, name: str) -> str | None:
    """Return the value of a parameter on the line as it was typed; None if it is not there."""
    value = context.params.get(name)
    if value is None:
        # click gives words to arguments only where every option has its value, and the last one waits for its own
        arguments = [each.name for each in context.command.params if each.param_type_name == "argument"]
        words = dict(zip(arguments, context.args, strict=False))
        value = words.get(name)
    return str(value) if isinstance(value, (str, Path)) else None


def _models(context: click.Context, name: str | None) -> tuple[Path, list[dict[str, Any]]]:
    """Return the folder of the deployment file and its models, only one for a name that it has."""
    found = _deployment(context)
    if found is None:
        return Path(), []
    path, document = found
    models = [each for each in document["models"] if isinstance(each, dict)]
    return path.parent, [each for each in models if each.get("name") == name] or models


def _versions(base_paths: Iterable[Path]) -> list[str]:
    found = {number for base_path in base_paths for number in _numbers_in(base_path)}
    return [str(number) for number in sorted(found, reverse=True)]


def _numbers_in(base_path: Path) -> list[int]:
    try:
        return [int(each.name) for each in base_path.iterdir() if each.name.isdecimal() and each.is_dir()]
    except OSError:
        return []


def _deployment(context: click.Context) -> tuple[Path, dict[str, Any]] | None:
    """Return the deployment file on the line with what it holds; without one, the only one in this directory."""
    for path in _named(context):
        if (document := _read(path)) is not None:
            return path, document
    here = sorted(path for end in DEPLOYMENT_FILES for path in Path().glob(f"*{end}"))
    found = [(path, document) for path in here[:_MOST_FILES] if (document := _read(path)) is not None]
    return found[0] if len(found) == 1 else None


def _named(context: click.Context) -> Iterator[Path]:
    """Yield the paths on the line that may be a deployment file, also those after the word that is completed."""
    for name in ("file", "path", "deployment"):
        if given := _given(context, name):
            yield Path(given).expanduser()
    try:
        words = shlex.split(os.environ.get("COMP_WORDS", ""))
    except ValueError:  # a quotation is still open
        words = os.environ["COMP_WORDS"].split()
    yield from (Path(word).expanduser() for word in words if word.endswith(DEPLOYMENT_FILES))


def _read(path: Path) -> dict[str, Any] | None:
    """Return what a deployment file holds; None if it is not one."""
    import yaml

    from tfs_deploy.host.regular_file import read_regular

    try:
        if path.stat().st_size > _BIGGEST:
            return None
        # not the loader: it takes three times as long to import, and a TAB is not the place to report a broken file
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        document = yaml.load(read_regular(path), Loader=loader)  # noqa: S506 - both are safe loaders
    except (OSError, ValueError, RuntimeError, yaml.YAMLError):
        return None
    return document if isinstance(document, dict) and isinstance(document.get("models"), list) else None
