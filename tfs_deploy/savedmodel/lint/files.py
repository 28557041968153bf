# SPDX-License-Identifier: Apache-2.0
"""TFS3xx: the files of the version; TFS4xx: its directory and those beside it; TFS5xx: warmup and goldens."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.graph.ops import VARIABLE_OPS
from tfs_deploy.savedmodel.lint.rules import LintedModel, Rule, Severity, Violation, listed
from tfs_deploy.savedmodel.lint.warmup_records import replay_problems
from tfs_deploy.savedmodel.versions import named_folder
from tfs_deploy.savedmodel.warmup import MAX_RECORDS
from tfs_deploy.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

#: the first size that protobuf does not read
_UNREADABLE: Final = 1 << 31
_LARGE_GRAPH: Final = 1 << 30
#: the memory that TensorFlow takes to load a graph, as a multiple of its file (C++ loader of TensorFlow 2.21: 5.1)
_LOAD_COPIES: Final = 5


def _large_graph(model: LintedModel) -> Iterator[Violation]:
    size = model.info.pb_bytes
    if size >= _UNREADABLE:
        yield Violation(layout.SAVED_MODEL, f"it has {size / 1e9:.2f} GB, and protobuf reads less than 2 GiB")
    elif size > _LARGE_GRAPH:
        message = f"it has {size / 1e9:.2f} GB: loading it takes about {_LOAD_COPIES * size / 1e9:.0f} GB of memory"
        yield Violation(layout.SAVED_MODEL, message, severity=Severity.WARNING)


def _missing_assets(model: LintedModel) -> Iterator[Violation]:
    for asset in model.info.assets:
        if asset.size is None and model.info.reads(asset):
            yield Violation(f"{layout.ASSETS}/{asset.name}", "the graph reads this file, but it does not exist")
        elif asset.size is None:
            message = "the graph names this file, which does not exist, but nothing opens it"
            yield Violation(f"{layout.ASSETS}/{asset.name}", message, severity=Severity.INFO)


def _missing_variables(model: LintedModel) -> Iterator[Violation]:
    count = sum(model.info.serving.graph.main.ops[op] for op in VARIABLE_OPS)
    if count and model.info.bundle is None:
        yield Violation(
            layout.VARIABLES, f"the graph has {counted(count, 'variable')}, but there are no files with their values"
        )


def _manifest(model: LintedModel) -> Iterator[Violation]:
    try:
        manifest = model.info.manifest
    except ModelError as error:
        yield Violation(layout.MANIFEST, error.message)
        return
    for name, entry in manifest.files.items() if manifest else ():
        path = model.info.path / name
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            yield Violation(name, "it is missing, though the manifest lists it")
        elif size != entry.size:
            yield Violation(name, f"it has {size} bytes, but the manifest says {entry.size}")


def _not_a_number(model: LintedModel) -> Iterator[Violation]:
    if model.info.version is None:
        yield Violation(f"directory '{named_folder(model.info.path).name}'", "its name is not a number")


def _zero_prefixed(model: LintedModel) -> Iterator[Violation]:
    for version in model.siblings:
        if version.path.name != str(version.number) and version.number >= 0:
            yield Violation(f"directory '{version.path.name}'", f"the server takes it for version {version.number}")


def _negative(model: LintedModel) -> Iterator[Violation]:
    for version in model.siblings:
        if version.number < 0:
            yield Violation(f"directory '{version.path.name}'", f"the server takes it for version {version.number}")


def _plain_file(model: LintedModel) -> Iterator[Violation]:
    for version in model.siblings:
        if not version.path.is_dir():
            yield Violation(f"file '{version.path.name}'", f"the server takes it for version {version.number}")


def _same_number(model: LintedModel) -> Iterator[Violation]:
    by_number: dict[int, list[str]] = defaultdict(list)
    for version in model.siblings:
        by_number[version.number].append(version.path.name)
    for number, names in by_number.items():
        if len(names) > 1:
            yield Violation(f"directories {listed(names)}", f"the server takes all of them for version {number}")


def _no_model(model: LintedModel) -> Iterator[Violation]:
    for version in model.siblings:
        if version.path.is_dir() and not any((version.path / name).exists() for name in layout.MODEL_FILES):
            yield Violation(
                f"directory '{version.path.name}'", "the server takes it for a version, but it has no model"
            )


def _warmup(model: LintedModel) -> Iterator[Violation]:
    try:
        for problem in replay_problems(model.info, model.server.max_request_rows):
            if problem.certain:
                yield Violation(layout.WARMUP, f"record {problem.number} cannot be replayed: {problem.reason}")
            else:
                message = f"record {problem.number} may not be replayed: {problem.reason}"
                yield Violation(layout.WARMUP, message, severity=Severity.WARNING)
    except ModelError as error:
        yield Violation(layout.WARMUP, error.message)


def _long_warmup(model: LintedModel) -> Iterator[Violation]:
    try:
        count = model.info.warmup_records or 0
    except ModelError:
        return  # the rule above says so
    if count > MAX_RECORDS:
        yield Violation(layout.WARMUP, f"it has {count} records, but the server accepts only {MAX_RECORDS}")


def _no_warmup(model: LintedModel) -> Iterator[Violation]:
    if not (model.info.path / layout.WARMUP).exists():
        yield Violation(layout.WARMUP, "there is no warmup file")


def _no_goldens(model: LintedModel) -> Iterator[Violation]:
    if not (model.info.path / layout.GOLDENS).is_dir():
        yield Violation(layout.GOLDENS, "there are no recorded answers")


RULES: Final = (
    Rule(
        "TFS301",
        "large-graph",
        Severity.ERROR,
        "`saved_model.pb` has 2 GiB or more; a warning above 1 GiB.",
        "Protobuf reads less than 2 GiB: the server says `Can't parse saved_model.pb as binary proto`. "
        "A smaller file is loaded, with about five times its size in memory.",
        "keep weights in variables instead of constants",
        _large_graph,
    ),
    Rule(
        "TFS302",
        "missing-asset",
        Severity.ERROR,
        "A file that the graph reads is not in `assets/`; an info if the graph names it and no op opens it.",
        "The tables that are filled from it fail when the model is loaded.",
        "copy the whole directory, or export the model again",
        _missing_assets,
    ),
    Rule(
        "TFS303",
        "missing-variables",
        Severity.ERROR,
        "The graph has variables, but `variables/` is not there.",
        "The server loads the model, reports AVAILABLE and fails every request.",
        "copy the whole directory, or export the model again",
        _missing_variables,
    ),
    Rule(
        "TFS304",
        "not-as-exported",
        Severity.ERROR,
        "A file is missing or has another size than the manifest says, or the manifest cannot be read.",
        "The directory was copied only partly, or changed after the export. (`tfs-deploy inspect --check` compares the "
        "content too.)",
        "copy or export the version again",
        _manifest,
    ),
    Rule(
        "TFS401",
        "zero-prefixed-version",
        Severity.WARNING,
        "The name of a version directory is a number in another spelling: `007`, `+7`.",
        "The server serves it under the plain number, which no directory has; tools that look for that miss it.",
        "rename the directory to the plain number",
        _zero_prefixed,
    ),
    Rule(
        "TFS402",
        "negative-version",
        Severity.ERROR,
        "The name of a version directory is a negative number.",
        "The server loads it, but REST cannot name it and every other version is newer.",
        "rename the directory to a positive number",
        _negative,
    ),
    Rule(
        "TFS403",
        "file-as-version",
        Severity.ERROR,
        "The name of a file is a number.",
        "The server takes it for a version, tries to load it and fails, again and again.",
        "move the file out of the base path",
        _plain_file,
    ),
    Rule(
        "TFS404",
        "same-version-twice",
        Severity.ERROR,
        "Two directories stand for the same number, such as `1` and `01`.",
        "The server picks one of them without saying which.",
        "remove or renumber one of them",
        _same_number,
    ),
    Rule(
        "TFS405",
        "not-a-version",
        Severity.WARNING,
        "The name of the model's directory is not a number.",
        "The server skips it.",
        "publish it under a number, such as models/NAME/1",
        _not_a_number,
    ),
    Rule(
        "TFS406",
        "version-without-model",
        Severity.ERROR,
        "A directory whose name is a number holds no model.",
        "The server takes it for a version, tries to load it and fails; if it is the highest, new versions wait.",
        "finish the copy under another name and rename it, or remove the directory",
        _no_model,
    ),
    Rule(
        "TFS501",
        "warmup-not-replayable",
        Severity.ERROR,
        "A warmup record does not fit the signatures, or has more rows than the server's batching takes "
        "(`--deployment` tells it), or the file is damaged; a warning if only its shape differs from the signature's, "
        "which the server does not compare.",
        "One failing record makes the load of the version fail.",
        "export again with examples, or remove the warmup file",
        _warmup,
    ),
    Rule(
        "TFS502",
        "warmup-too-long",
        Severity.ERROR,
        "The warmup file has more than 1000 records.",
        "The server fails to load the version.",
        "keep a few records for each signature and batch size",
        _long_warmup,
    ),
    Rule(
        "TFS503",
        "no-warmup",
        Severity.INFO,
        "There is no warmup file.",
        "The first requests after a rollout wait for lazy initialisation: tens of milliseconds to seconds.",
        "export with examples",
        _no_warmup,
    ),
    Rule(
        "TFS504",
        "no-goldens",
        Severity.INFO,
        "There are no recorded answers (goldens).",
        "Smoke tests and rollouts can see that the model answers, but not whether its answers are correct.",
        "export with examples",
        _no_goldens,
    ),
)
