# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy init``: a deployment file for what is there."""

from __future__ import annotations

import dataclasses
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.words import deployment_file, paths
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import CONNECTION, all_of, base_paths, client_options, common
from tfs_deploy.deployment.deployment import TargetName
from tfs_deploy.deployment.docker import DEFAULT_IMAGE, GRPC_PORT, REST_PORT
from tfs_deploy.errors import SpecError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.draft.found import Found

T = TypeVar("T", bound=str)
_PORT = click.IntRange(1, 65535)


class Questions:
    """Asks on stderr; without a terminal, or if not ``active``, it answers itself and takes the defaults."""

    def __init__(self, *, active: bool) -> None:
        self._asks = active and sys.stdin.isatty() and sys.stderr.isatty()

    def text(self, question: str, default: str) -> str:
        """Ask for a text."""
        return str(click.prompt(question, default=default, err=True)) if self._asks else default

    def port(self, question: str, default: int) -> int:
        """Ask for a port number."""
        kind = click.IntRange(0, 65535)
        return int(click.prompt(question, default=default, type=kind, err=True)) if self._asks else default

    def choice(self, question: str, choices: Sequence[T], default: T) -> T:
        """Ask for one of several texts; without a default one has to be chosen."""
        if not self._asks:
            return default
        answer = click.prompt(question, default=default or None, type=click.Choice(choices), err=True)
        return choices[list(choices).index(answer)]

    def yes(self, question: str, *, default: bool) -> bool:
        """Ask for yes or no, where nothing can be asked the answer is no; ``default`` is what Enter says."""
        return click.confirm(question, default=default, err=True) if self._asks else False


@click.command(
    name="init",
    cls=Command,
    examples=(
        "tfs-deploy init models/digits --out first.yaml",
        "tfs-deploy init model.keras --model keras --write-model --out keras.yaml",
        "tfs-deploy init models.config --out -",
        "tfs-deploy init localhost:8500 --model digits=models/digits --out running.yaml",
    ),
)
@click.argument("source", required=False, shell_complete=paths(".keras", ".h5", ".hdf5", ".config"))
@option(
    "--out",
    "-o",
    metavar="FILE",
    shell_complete=deployment_file,
    help="Path of the deployment file; - prints it.  [default: NAME.yaml]",
)
@option("--force", is_flag=True, help="Replace the file if it exists.")
@option("--name", metavar="NAME", help="Name of the deployment.  [default: from SOURCE]")
@option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME[=BASE]",
    help="Name of the model, and its base path; repeated for the models of a server.  [default: from SOURCE]",
)
@option(
    "--label", "labels", multiple=True, metavar="LABEL", help="Label to ask a server for, besides stable and canary."
)
@option(
    "--target",
    type=click.Choice(get_args(TargetName)),
    metavar="TARGET",
    help=f"What serves the models: {' or '.join(get_args(TargetName))}.  [default: embedded]",
)
@option(
    "--image",
    metavar="IMAGE",
    help="Image of the container, for docker.  [default: by the TensorFlow that wrote the model]",
)
@option("--grpc-port", type=_PORT, metavar="PORT", help=f"Port of the gRPC API.  [default: {GRPC_PORT}]")
@option(
    "--rest-port",
    type=click.IntRange(0, 65535),
    metavar="PORT",
    help=f"Port of the REST API; 0 for none.  [default: {REST_PORT}]",
)
@option(
    "--base-path-map",
    metavar="OLD=NEW",
    multiple=True,
    help="With a models.config: write NEW for the beginning OLD of base paths.",
)
@option(
    "--write-model/--no-write-model",
    default=None,
    help="Also export a Keras file, or publish a SavedModel, into its base path.",
)
@option("--yes", "-y", is_flag=True, help="Ask nothing, take the defaults.")
@all_of(CONNECTION)
@common
def command(
    output: Output,
    source: str | None,
    *,
    out: str | None,
    force: bool,
    name: str | None,
    models: tuple[str, ...],
    labels: tuple[str, ...],
    target: TargetName | None,
    image: str | None,
    grpc_port: int | None,
    rest_port: int | None,
    base_path_map: tuple[str, ...],
    write_model: bool | None,
    yes: bool,
    **connection: Any,
) -> None:
    """Write a deployment file for what is there.

    Use it to begin. SOURCE is a Keras file, a SavedModel, a directory of versions or of several models, a
    models.config, or the HOST:PORT (gRPC) of a running server; without it, what this directory holds. On a terminal it
    asks for what no option says.
    """
    from tfs_deploy.draft.document import Choices, draft_document, next_commands
    from tfs_deploy.draft.image import is_newer, proposed_image, release_of_models

    ask = Questions(active=not (yes or output.as_json or output.quiet))
    found = _found(output, source, models, labels, ask, base_paths(base_path_map), connection)
    _require_use(found, {"--label": labels, "--base-path-map": base_path_map, "--write-model": write_model})
    if image and target == "embedded":
        raise UsageError("--image does not fit --target embedded", hint="leave one of them out")
    name = name or ask.text("Name of the deployment", _default_name(found))
    target = target or ("docker" if image else ask.choice("What serves the models", get_args(TargetName), "embedded"))
    release = release_of_models(found) if target == "docker" else None
    if target == "docker":
        image = image or ask.text("Image of the container", proposed_image(release))
    choices = Choices(
        name,
        target,
        grpc_port or ask.port("gRPC port", found.port or GRPC_PORT),
        ask.port("REST port, 0 for none", REST_PORT) if rest_port is None else rest_port,
        image or DEFAULT_IMAGE,
    )
    path = None if out == "-" else Path(out or f"{name}.yaml")
    document = draft_document(found, choices, Path() if path is None else path.parent)
    _require_valid(document, found.source)
    if path is not None and path.exists() and not force and not ask.yes(f"Replace {path}", default=False):
        raise UsageError(f"{path} exists", hint="name another file with --out, or replace it with --force")
    too_old = image if image is not None and is_newer(release, image) else ""
    if too_old and release is not None:
        written = ".".join(map(str, release))
        output.warn(
            f"TensorFlow {written}, which wrote the model, is newer than {too_old}: name an image of {written}, "
            "or try this one and set server.docker.allow_newer_tensorflow: true"
        )
    commands = next_commands(found, str(path or f"{name}.yaml"), try_image=too_old)
    if found.unwritten and (ask.yes(_question(found), default=True) if write_model is None else write_model):
        _write_model(output, found)
        commands = commands[1:]
    _write(output, path, document, commands)


def _found(
    output: Output,
    source: str | None,
    models: tuple[str, ...],
    labels: tuple[str, ...],
    ask: Questions,
    base_paths: Mapping[str, str],
    connection: dict[str, Any],
) -> Found:
    from tfs_deploy.draft.disk import find

    if source is not None and ":" in source and not Path(source).exists():
        return _running(output, source, models, labels, ask, connection)
    everything = find(Path(source or "."), base_paths=base_paths)
    found = everything[0]
    if len(everything) > 1:
        sources = [one.source for one in everything]
        chosen = ask.choice("What is to be served", sources, "")
        if not chosen:
            hint = f"name one: tfs-deploy init {shlex.quote(sources[0])}"
            raise UsageError(f"{source or 'this directory'} holds {', '.join(sources)}", hint=hint)
        found = everything[sources.index(chosen)]
    return _named(found, models) if models else found


#: flag -> the kinds of things that it has an effect on, and what they are called
_USES: dict[str, tuple[tuple[str, ...], str]] = {
    "--label": (("server",), "a running server"),
    "--base-path-map": (("models.config",), "a models.config"),
    "--write-model": (("keras", "savedmodel"), "a Keras file, or a SavedModel outside a version directory"),
}


def _require_use(found: Found, given: Mapping[str, object]) -> None:
    """Refuse options that would have no effect on what was found."""
    for flag, (kinds, called) in _USES.items():
        if given[flag] and found.kind not in kinds:
            raise UsageError(f"{flag} does not fit {found.source}", hint=f"it is for {called}")


def _named(found: Found, models: tuple[str, ...]) -> Found:
    """Return what was found with the name, and the base path of a model still to be written, that --model gives."""
    from tfs_deploy.draft.disk import unwritten_model

    (given, base_path), *more = map(_model, models)
    if more or len(found.models) != 1 or (base_path is not None and not found.unwritten):
        raise UsageError(
            f"--model does not fit {found.source}",
            hint="it names the one model, and the base path of one to be written",
        )
    if found.unwritten:
        return dataclasses.replace(found, models=(unwritten_model(given, base_path or Path("models", given)),))
    return dataclasses.replace(found, models=(dataclasses.replace(found.models[0], name=given),))


def _running(
    output: Output,
    address: str,
    models: tuple[str, ...],
    labels: tuple[str, ...],
    ask: Questions,
    connection: dict[str, Any],
) -> Found:
    from tfs_deploy.draft.running import ask_server

    names = models or tuple(ask.text("Models of the server, as NAME=BASE_PATH", "").split())
    if not names:
        hint = f"name its models, with their base paths: tfs-deploy init {address} --model digits=models/digits"
        raise UsageError("a server does not list its models", hint=hint)
    wanted = {name: base_path or Path("models", name) for name, base_path in map(_model, names)}
    options = client_options(**connection)
    if "tls" in options:
        output.warn("the server uses TLS: add the section ssl, with its key and certificate")
    return ask_server(address, wanted, labels=labels, **options)


def _model(text: str) -> tuple[str, Path | None]:
    name, given, base_path = text.partition("=")
    if not name or (given and not base_path):
        raise UsageError(f"not a valid model: {text!r}", hint="write NAME, or NAME=BASE_PATH")
    return name, Path(base_path) if base_path else None


def _default_name(found: Found) -> str:
    from tfs_deploy.draft.found import as_name

    names = [model["name"] for model in found.document.get("models", [])] or [model.name for model in found.models]
    if len(names) == 1:
        return str(names[0])
    path = Path(found.source).resolve()
    return "server" if found.kind == "server" else as_name(path.name if path.is_dir() else path.stem)


def _require_valid(document: dict[str, Any], source: str) -> None:
    from tfs_deploy.deployment.file import problems_of

    if problems := problems_of(document, source, {}):
        raise SpecError(problems, hint="give other options, or other names to what is there")


def _question(found: Found) -> str:
    (model,) = found.models
    return f"Write the model into {model.base_path / str(model.versions[-1])} now"


def _write_model(output: Output, found: Found) -> None:
    from tfs_deploy.cli.shared.output import warnings_on

    (model,) = found.models
    (version,) = model.versions
    with warnings_on(output), output.progress(f"writing {model.base_path / str(version)}"):
        if found.kind == "keras":
            from tfs_deploy.export import export_model

            export_model(found.source, model.base_path, version=version)
        else:
            from tfs_deploy.store.copy import publish_version

            publish_version(found.source, model.base_path, version=version)
    output.note(f"wrote {model.base_path / str(version)}")


def _write(output: Output, path: Path | None, document: dict[str, Any], commands: list[tuple[str, str]]) -> None:
    from tfs_deploy.atomic import write_atomic
    from tfs_deploy.deployment.file.editor import schema_comment
    from tfs_deploy.deployment.file.variables import escaped
    from tfs_deploy.draft.commented import commented_text, meanings

    line = schema_comment(None if path is None else path.parent)
    text = line + commented_text(escaped(document), meanings(), commands)
    result = {
        "deployment": document,
        "text": text,
        "written": None if path is None else str(path),
        "next": [line for line, _ in commands],
    }
    if path is None:
        output.result(result, text.rstrip("\n"))
        return
    write_atomic(path, text)
    output.result(result)
    output.note(f"wrote {path}; next:")
    for line, _ in commands:
        output.note(f"  {line}")
