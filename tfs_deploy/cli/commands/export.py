# SPDX-License-Identifier: Apache-2.0
"""``tfs-deploy export``: write a model into the next numbered version directory."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tfs_deploy.cli.line.option import option
from tfs_deploy.cli.line.words import one_of, paths
from tfs_deploy.cli.shared.help import Command
from tfs_deploy.cli.shared.options import (
    RETENTION,
    TO_BASE,
    all_of,
    common,
    op_libraries_option,
    parse_tags,
    parse_version,
)
from tfs_deploy.cli.shared.output import warnings_on
from tfs_deploy.errors import TfsDeployError, UsageError, file_hint
from tfs_deploy.export.evidence.tolerance import DEFAULT_ATOL, DEFAULT_RTOL
from tfs_deploy.export.sources.kinds import KINDS
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE
from tfs_deploy.text import closest, counted, parse_document, size_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.cli.shared.output import Output
    from tfs_deploy.export import ExportedVersion

_REFERENCE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


@click.command(
    name="export",
    cls=Command,
    examples=(
        "tfs-deploy export model.keras --to models/digits",
        "tfs-deploy export train:model --to models/digits --keep 5",
        "tfs-deploy export graph.pb --to models/tf -s 'serving_default(x=x:0) -> y=y:0'",
    ),
)
@click.argument("source", shell_complete=paths(".keras", ".h5", ".pb", ".index", ".hdf5"))
@TO_BASE
@option(
    "--kind",
    type=click.Choice(sorted(KINDS)),
    metavar="KIND",
    help=f"Kind of SOURCE: {', '.join(sorted(KINDS))}.  [default: detected]",
)
@option(
    "--version",
    metavar="N|timestamp",
    shell_complete=one_of("timestamp"),
    help="Version number.  [default: the next one]",
)
@option(
    "--signature",
    "-s",
    "signatures",
    multiple=True,
    metavar="SIGNATURE",
    help="Signature, all but NAME optional: 'NAME(INPUTS) = FUNCTION -> OUTPUTS as METHOD'; may be repeated.",
)
@option(
    "--tags",
    metavar="TAGS",
    default="serve",
    show_default=True,
    help="Tags of the meta graph to serve: A,B (TensorFlow 1 only).",
)
@option(
    "--example",
    "examples",
    multiple=True,
    metavar="[SIGNATURE/]NAME=VALUE",
    help="Input of an example request, checked and recorded: JSON, @FILE.npy or @FILE; may be repeated.",
)
@option(
    "--metadata",
    multiple=True,
    metavar="KEY=VALUE|@FILE.json",
    help="Metadata to keep in the manifest; may be repeated.",
)
@all_of(RETENTION)
@option("--check/--no-check", default=True, help="Load the version in a fresh process before publishing it.")
@option(
    "--rtol",
    type=click.FloatRange(min=0),
    default=DEFAULT_RTOL,
    show_default=True,
    metavar="NUMBER",
    help="Relative tolerance of the check.",
)
@option(
    "--atol",
    type=click.FloatRange(min=0),
    default=DEFAULT_ATOL,
    show_default=True,
    metavar="NUMBER",
    help="Absolute tolerance of the check.",
)
@option("--warmup/--no-warmup", default=True, help="Write the examples as warmup requests.")
@option(
    "--import",
    "modules",
    multiple=True,
    metavar="MODULE",
    help="Module to import first, for custom Keras classes; may be repeated.",
)
@option(
    "--safe-mode/--no-safe-mode",
    default=True,
    help="Refuse a Keras file that holds Python code, such as that of a Lambda layer.",
)
@op_libraries_option
@common
def command(
    output: Output,
    source: str,
    *,
    base_path: str,
    kind: str | None,
    version: str | None,
    signatures: Sequence[str],
    tags: str,
    examples: Sequence[str],
    metadata: Sequence[str],
    keep: int | None,
    deployments: Sequence[str],
    modules: Sequence[str],
    **options: Any,
) -> None:
    """Write a model into the next numbered version directory.

    Use it at the end of a training job. SOURCE is a .keras or .h5 file, a SavedModel, a TensorFlow 1 checkpoint or
    frozen graph, or MODULE:OBJECT. The version appears under BASE complete or not at all.
    """
    from tfs_deploy.cli.shared.signature_text import parse_signatures
    from tfs_deploy.export import export_model

    arguments: dict[str, Any] = {
        "signatures": parse_signatures(signatures),
        "version": parse_version(version),
        "examples": _examples(examples) or None,
        "metadata": _metadata(metadata),
        "tags": parse_tags(tags),
        "deployments": deployments or None,
    }
    started = time.monotonic()
    with warnings_on(output), output.progress(f"exporting {source}"):
        found = _source(source, modules)
        exported = export_model(found, base_path, kind=kind, keep=keep, **arguments, **options)
    document = _document(exported, time.monotonic() - started)
    output.result(document, _render(exported, document))


def _source(text: str, modules: Sequence[str]) -> Any:
    """Return the path, or the object that ``MODULE:OBJECT`` names (a plain function is called for it)."""
    file, _, name = text.partition(":")
    if file.endswith(".py") and Path(file).is_file():
        raise UsageError(
            f"{file} is a Python file, not a model", hint=f"tfs-deploy export {Path(file).stem}:{name or 'OBJECT'}"
        )
    reference = not Path(text).exists() and _REFERENCE.fullmatch(text) is not None
    if not reference and not modules:
        return Path(text)
    for module in (*modules, *([text.partition(":")[0]] if reference else [])):
        _require(module)
    from tfs_deploy.export.tensorflow.silence import load_tensorflow

    load_tensorflow()
    sys.path.insert(0, str(Path.cwd()))
    try:
        for module in modules:
            _import(module)
        return _object(text) if reference else Path(text)
    finally:
        sys.path.remove(str(Path.cwd()))


def _object(text: str) -> Any:
    module, _, path = text.partition(":")
    found = _import(module)
    for name in path.split("."):
        if not hasattr(found, name):
            raise UsageError(f"{text}: {name!r} not found", hint=_objects_hint(module, found, name))
        found = getattr(found, name)
    if type(found).__name__ != "function":
        return found
    try:
        return found()
    except Exception as error:
        raise _raised(f"{text}()", error, f"import {module}; {module}.{path}()") from error


def _raised(what: str, error: Exception, code: str) -> Exception:
    """Return the error of a command for an exception of the user's own code, with its last place there."""
    if isinstance(error, TfsDeployError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    here = Path.cwd()
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(here)] or frames
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})"
    problem = " ".join(str(error).split()) or "no message"
    return UsageError(f"{what} raised {type(error).__name__}: {problem}{place}", hint=f"python -c '{code}' shows all")


def _objects_hint(module: str, found: Any, name: str) -> str:
    """Return a hint with the closest name in the module, as it is written in a command."""
    near = closest(name, [known for known in dir(found) if not known.startswith("_")])
    return f"did you mean {module}:{near}?" if near is not None else "MODULE:OBJECT, as in train:model"


def _require(module: str) -> None:
    """Raise ``UsageError`` if a module's top-level package cannot be found, before TensorFlow is loaded for it."""
    name = module.partition(".")[0]
    if name in sys.modules or importlib.util.find_spec(name) is not None:
        return
    if importlib.machinery.PathFinder.find_spec(name, [str(Path.cwd())]) is None:
        raise _no_module(module)


def _import(module: str) -> Any:
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != module.partition(".")[0]:
            raise _raised(f"importing {module}", error, f"import {module}") from error
        raise _no_module(module) from error
    except Exception as error:
        raise _raised(f"importing {module}", error, f"import {module}") from error


def _no_module(module: str) -> UsageError:
    hint = "searched in the working directory and the environment"
    return UsageError(f"module {module!r} not found", hint=hint)


def _examples(texts: Sequence[str]) -> dict[str, Any]:
    from tfs_deploy.cli.shared.input_values import read_inputs

    by_signature: dict[str, list[str]] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        signature, slash, key = name.rpartition("/")
        by_signature.setdefault(signature if slash else DEFAULT_SIGNATURE, []).append(f"{key}{separator}{value}")
    return {signature: read_inputs(inputs, {}) for signature, inputs in by_signature.items()}


def _metadata(texts: Sequence[str]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if text.startswith("@"):
            document.update(_metadata_file(Path(text[1:])))
        elif separator and key:
            try:
                document[key] = parse_document(value)
            except ValueError:
                document[key] = value
        else:
            raise UsageError(f"--metadata {text} is not KEY=VALUE", hint="for example --metadata dataset=2024-05")
    return document


def _metadata_file(path: Path) -> dict[str, Any]:
    try:
        document = parse_document(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=file_hint(error)) from error
    except ValueError as error:
        raise UsageError(f"{path} is not valid JSON: {error}", hint='write {"key": value}') from error
    if not isinstance(document, dict):
        raise UsageError(f"{path} does not hold a JSON object", hint='write {"key": value}')
    return document


def _document(exported: ExportedVersion, seconds: float) -> dict[str, Any]:
    return {
        "path": str(exported.path),
        "version": exported.version,
        "signatures": {
            name: {
                "method": info.method,
                **{
                    side: {key: {"dtype": spec.dtype, "shape": spec.shape} for key, spec in getattr(info, side).items()}
                    for side in ("inputs", "outputs")
                },
            }
            for name, info in exported.signatures.items()
        },
        "bytes": exported.manifest.total_bytes,
        "digest": exported.manifest.digest,
        "pruned": list(exported.pruned),
        "seconds": round(seconds, 3),
    }


def _render(exported: ExportedVersion, document: dict[str, Any]) -> str:
    lines = [f"{exported.path}  ({size_text(document['bytes'])}, {document['seconds']:.1f} s)"]
    for name, info in exported.signatures.items():
        sides = [", ".join(f"{key}: {spec}" for key, spec in side.items()) for side in (info.inputs, info.outputs)]
        lines.append(f"  {name}({sides[0]}) -> {sides[1]}")
    if exported.pruned:
        removed = ", ".join(map(str, exported.pruned))
        lines.append(f"removed {counted(len(exported.pruned), 'old version')}: {removed}")
    return "\n".join(lines)
