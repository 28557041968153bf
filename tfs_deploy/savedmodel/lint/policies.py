# SPDX-License-Identifier: Apache-2.0
"""TFS6xx: what a policy does not allow; these rules find nothing without one."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.graph.scopes import NAMES_FILE
from tfs_deploy.savedmodel.graph.unsafe_ops import LOADER_OPS, PATH_ATTRIBUTES
from tfs_deploy.savedmodel.inspect import serving_graph
from tfs_deploy.savedmodel.lint.own_files import OwnFiles
from tfs_deploy.savedmodel.lint.policy import Policy, is_custom
from tfs_deploy.savedmodel.lint.rules import LintedModel, Rule, Severity, Violation
from tfs_deploy.text import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.savedmodel.graph.scan import MetaGraphFacts

    #: (op, what is wrong with it) -> the places, the first one with its node
    Places = dict[tuple[str, str], list[tuple[str, str]]]

_MODEL_FORMATS: Final = {layout.SAVED_MODEL: "saved_model", layout.SAVED_MODEL_TEXT: "saved_model"} | {
    layout.TFLITE_MODEL: "tflite"
}


def _ops(model: LintedModel) -> Iterator[Violation]:
    if model.policy is None:
        return
    for facts in model.info.meta_graphs:
        found = _not_allowed(facts, model.policy)
        yield from _violations(found, _meta_graph(model, facts))


def _not_allowed(facts: MetaGraphFacts, policy: Policy) -> Places:
    """Find the ops of the stock server that are not allowed where they stand."""
    found: Places = defaultdict(list)
    for scope in facts.graph.scopes():
        for op in scope.ops:
            if is_custom(op) or (op in LOADER_OPS and op not in policy.deny):
                continue
            if why := policy.why_not(op):
                found[op, why].append((scope.name, scope.examples[op]))
        for op, flag in scope.flagged:
            if flag == NAMES_FILE and policy.default_ops and op not in policy.allow | policy.deny:
                why = f"which opens the file that its {PATH_ATTRIBUTES[op][0]} names"
                found[op, why].append((scope.name, scope.examples[op]))
    for op, name in facts.graph.unread:
        found[op, "which is too large to be looked into"].append(("", name))
    for misplaced in OwnFiles(facts).misplaced():
        if misplaced.op not in policy.allow | policy.deny:
            found[misplaced.op, f"which {misplaced.what}"].append((misplaced.function, misplaced.node))
    return found


def _custom(model: LintedModel) -> Iterator[Violation]:
    if model.policy is None:
        return
    for facts in model.info.meta_graphs:
        found: Places = defaultdict(list)
        for scope in facts.graph.scopes():
            for op in scope.ops:
                if op in facts.graph.functions or not is_custom(op):
                    continue
                if op in model.policy.deny:
                    found[op, "which the policy denies"].append((scope.name, scope.examples[op]))
                elif not model.policy.takes_custom(op):
                    found[op, "which the stock server does not have"].append((scope.name, scope.examples[op]))
        yield from _violations(found, _meta_graph(model, facts))


def _violations(found: Places, prefix: str) -> Iterator[Violation]:
    for (op, why), places in sorted(found.items()):
        function, node = places[0]
        where = f"function '{function}'" if function else "the graph"
        more = f" (and in {counted(len(places) - 1, 'more place')})" if len(places) > 1 else ""
        yield Violation(f"{prefix}{where}", f"it holds {op} '{node}', {why}{more}")


def _meta_graph(model: LintedModel, facts: MetaGraphFacts) -> str:
    """Name a meta graph other than the served one."""
    return "" if facts is serving_graph(model.info.meta_graphs) else f"tag set '{', '.join(sorted(facts.tags))}': "


def _too_large(model: LintedModel) -> Iterator[Violation]:
    limit = None if model.policy is None else model.policy.max_bytes
    if limit is not None and (size := sum(path.stat().st_size for path in _files(model.info.path))) > limit:
        yield Violation("the version", f"its files have {size} bytes together, but the policy allows {limit}")


def _graph_too_large(model: LintedModel) -> Iterator[Violation]:
    limit = None if model.policy is None else model.policy.max_graph_bytes
    if limit is not None and model.info.pb_bytes > limit:
        yield Violation(layout.SAVED_MODEL, f"it has {model.info.pb_bytes} bytes, but the policy allows {limit}")


def _signatures(model: LintedModel) -> Iterator[Violation]:
    for name in () if model.policy is None else model.policy.required_signatures:
        if name not in model.info.signatures:
            there = ", ".join(sorted(model.info.signatures)) or "none"
            yield Violation(f"signature '{name}'", f"it is missing; the model has: {there}")


def _formats(model: LintedModel) -> Iterator[Violation]:
    for name in () if model.policy is None else layout.MODEL_FILES:
        kind = _MODEL_FORMATS.get(name)
        if model.policy is None or kind in model.policy.formats or not (model.info.path / name).exists():
            continue
        message = "a model in a format that cannot be looked into" if kind is None else f"it is of the format '{kind}'"
        yield Violation(name, f"{message}, which the policy does not allow")


def _outside(model: LintedModel) -> Iterator[Violation]:
    if model.policy is None:
        return
    for name in sorted({name for facts in model.info.meta_graphs for name in facts.assets}):
        asset = PurePosixPath(name)
        if asset.is_absolute() or ".." in asset.parts:
            yield Violation(f"{layout.ASSETS}/{name}", "the graph reads this file, which is outside of the version")
    home = model.info.path.resolve()
    for path in _files(model.info.path):
        if not path.resolve().is_relative_to(home):
            shown = path.relative_to(model.info.path).as_posix()
            yield Violation(shown, f"it leads out of the version, to {path.resolve()}")


def _files(folder: Path) -> Iterator[Path]:
    """Yield all files of a version, also those in linked directories, once each."""
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(place)
        if real in seen:  # a link that leads to what is around it
            folders.clear()
            continue
        seen.add(real)
        folders.sort()
        yield from (path for name in sorted(names) if (path := Path(place, name)).exists())


_WHAT_TO_DO: Final = "remove it from the model, or change the policy"
RULES: Final = (
    Rule(
        "TFS601",
        "op-not-allowed",
        Severity.ERROR,
        "The graph, a function or another meta graph holds an op that the policy does not allow. By default those are "
        "refused that read or write files, call Python, talk to other machines or end the process.",
        "A model is code: whoever can have it served can run what its ops do, with the rights of the server. The ops "
        "of the loader (`SaveV2`, `RestoreV2`, tables that are read from assets) are allowed where the loader put "
        "them, and where they open the version's own files.",
        "remove it from the model, or name it under ops.allow",
        _ops,
    ),
    Rule(
        "TFS602",
        "custom-op-not-allowed",
        Severity.ERROR,
        "The graph, a function or another meta graph holds an op that the stock server does not have, and the policy "
        "refuses custom ops.",
        "Such an op is native code that came with the server or a library, and that the policy's author has not "
        "looked at.",
        "remove it from the model, name it under ops.allow, or say custom_ops: allow",
        _custom,
    ),
    Rule(
        "TFS603",
        "version-too-large",
        Severity.ERROR,
        "The files of the version have more bytes together than `max_bytes` of the policy.",
        "They are copied to every server and loaded into its memory.",
        _WHAT_TO_DO,
        _too_large,
    ),
    Rule(
        "TFS604",
        "graph-too-large",
        Severity.ERROR,
        "`saved_model.pb` has more bytes than `max_graph_bytes` of the policy.",
        "A graph is parsed in one piece at every load, which takes several times its size of memory.",
        "keep weights in variables, or change the policy",
        _graph_too_large,
    ),
    Rule(
        "TFS605",
        "required-signature",
        Severity.ERROR,
        "A signature that the policy requires is missing.",
        "Callers that rely on it would get errors.",
        "export the signature, or change the policy",
        _signatures,
    ),
    Rule(
        "TFS606",
        "format-not-allowed",
        Severity.ERROR,
        "The version holds a model in a format that the policy does not allow: a `model.tflite`, or a "
        "`saved_model.cpb`, which cannot be looked into.",
        "A server that runs with --prefer_tflite_model serves `model.tflite` instead of the graph that was checked.",
        "remove the file, or name its format under formats",
        _formats,
    ),
    Rule(
        "TFS607",
        "file-outside",
        Severity.ERROR,
        "A file of the version is a link that leads out of it, or an asset's name does.",
        "The model reads what lies there on the server, such as another model's variables.",
        "copy the file into the version",
        _outside,
    ),
)
