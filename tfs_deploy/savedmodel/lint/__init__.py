# SPDX-License-Identifier: Apache-2.0
"""Lint a SavedModel before a server loads it: rules with stable ids, each a small function over plain facts."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tfs_deploy.errors import ModelError, UsageError, file_hint
from tfs_deploy.savedmodel import versions
from tfs_deploy.savedmodel.graph.scan import graph_file
from tfs_deploy.savedmodel.inspect import SavedModelInfo, inspect_model
from tfs_deploy.savedmodel.lint import files, graphs, policies, signatures
from tfs_deploy.savedmodel.lint.rules import Finding, LintedModel, Rule, ServerTraits, Severity
from tfs_deploy.text import closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.savedmodel.lint.policy import Policy

__all__ = [
    "RULES",
    "Finding",
    "Rule",
    "ServerTraits",
    "Severity",
    "inspect_to_lint",
    "lint_model",
    "parse_image_version",
    "reference",
    "select_rules",
]

RULES: tuple[Rule, ...] = (*signatures.RULES, *graphs.RULES, *files.RULES, *policies.RULES)


def lint_model(
    model: SavedModelInfo | str | Path,
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    image_version: str | None = None,
    server: ServerTraits | None = None,
    policy: Policy | None = None,
) -> list[Finding]:
    """Apply the rules to a model and return what they find, in the order of the rules.

    Args:
        model: a version directory, a base path (its latest version), or what ``inspect_model`` returned.
        select: ids, beginnings of ids or names of the only rules to apply.
        ignore: ids, beginnings of ids or names of rules to leave out.
        image_version: version of the server, such as ``2.19``, or its image, ``tensorflow/serving:2.19.1-gpu``.
        server: what else is known of the server.
        policy: what the model may hold; without one, the rules TFS6xx find nothing.

    Raises:
        UsageError: a rule or the version is unknown.
        ModelError: the model does not exist, or one of its files is damaged.
    """
    rules = select_rules(select, ignore)
    traits = server or ServerTraits()
    if image_version:
        traits = dataclasses.replace(traits, release=parse_image_version(image_version))
    info = model if isinstance(model, SavedModelInfo) else inspect_to_lint(model)
    linted = LintedModel(info, traits, policy)
    try:
        return [finding for rule in rules for finding in rule.findings(linted)]
    except OSError as error:
        raise ModelError(
            f"{error.filename or info.path} cannot be read: {error.strerror}", hint=file_hint(error)
        ) from error


def inspect_to_lint(path: str | Path) -> SavedModelInfo:
    """Describe a version directory, or the latest version of a base path that holds a model.

    The rules report what else the server takes for versions there: files and empty directories.
    """
    folder = Path(path)
    if folder.is_dir() and not graph_file(folder).exists():
        found = [v.path for v in versions.list_versions(folder) if graph_file(v.path).exists()]
        return inspect_model(found[-1] if found else folder)
    return inspect_model(folder)


def select_rules(select: Sequence[str] = (), ignore: Sequence[str] = ()) -> list[Rule]:
    """Return the rules that are selected (all by default) and not ignored; ``UsageError`` for an unknown one."""
    selected = {rule.id for entry in select for rule in _matching(entry)} if select else {rule.id for rule in RULES}
    ignored = {rule.id for entry in ignore for rule in _matching(entry)}
    return [rule for rule in RULES if rule.id in selected - ignored]


def parse_image_version(text: str) -> tuple[int, int]:
    """Return major and minor version of ``2.19``, ``2.19.1-gpu`` or ``tensorflow/serving:2.19.1``.

    The tag of any image is taken for the version of TensorFlow Serving in it.
    """
    match = re.fullmatch(r"(?:[^\s@]*[:/])?v?(\d+)\.(\d+)(?:[.\-+][\w.\-]*)?(?:@\S*)?", text)
    if match is None:
        about = ": its tag has no release" if re.search(r"[/:@]", text) else ""
        raise UsageError(
            f"'{text}' is not a version of the server{about}",
            hint="give the release of TensorFlow Serving in it, such as --image-version 2.19",
        )
    return int(match[1]), int(match[2])


def reference() -> str:
    """Return the reference of all rules as Markdown (docs/lint.md)."""
    parts = [_INTRODUCTION]
    for title, prefix in _GROUPS:
        parts.append(f"## {title}\n")
        for rule in RULES:
            if rule.id.startswith(prefix):
                parts.append(f"### {rule.id} {rule.name} ({rule.severity.value})\n")
                parts.append(f"{rule.summary} {rule.reason}\n\n*What to do:* {rule.hint}.\n")
    return "\n".join(parts)


_GROUPS = (
    ("Signatures", "TFS1"),
    ("Graph", "TFS2"),
    ("Files", "TFS3"),
    ("Directories", "TFS4"),
    ("Warmup and goldens", "TFS5"),
    ("Policy (`--policy FILE`)", "TFS6"),
)

_INTRODUCTION = """\
# Rules of `tfs-deploy lint`

`tfs-deploy lint PATH` checks a version directory, or the latest version below a base path, without TensorFlow. It
exits with 1 if a finding is an error (`--fail-on warning` or `info` to be stricter) and with 2 if the model cannot
be read at all. `--select` and `--ignore` take ids (`TFS105`), prefixes of ids (`TFS2`) and names
(`fixed-batch-dimension`), separated by commas. `tfs-deploy lint --rules` prints this page.

`--image-version` gives the release of the server: `2.19`, or an image whose tag begins with that release, whatever its
name is. `--deployment FILE` takes it from the deployment file, where only the tag of `tensorflow/serving` tells it, and
an image of your own needs `server.docker.serving_version`; whether the server compiles with XLA and how large its
batches are comes from there too. No release is assumed: an image known by a digest or a tag such as `1` is refused with
exit code 2, and without either option no rule compares the model with a release.

What a signature runs is traced from its outputs through the graph and every function that it calls. Code that is only
stored, such as a training step, does not count.
"""


def _matching(entry: str) -> list[Rule]:
    found = [rule for rule in RULES if rule.id.startswith(entry.upper()) or rule.name == entry.lower()]
    if not entry or not found:
        near = closest(entry.lower(), [rule.name for rule in RULES]) or closest(
            entry.upper(), [rule.id for rule in RULES]
        )
        hint = f"did you mean '{near}'?" if near else "`tfs-deploy lint --rules` lists all rules"
        raise UsageError(f"unknown rule '{entry}'", hint=hint)
    return found
