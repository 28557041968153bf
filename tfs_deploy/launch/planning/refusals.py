# SPDX-License-Identifier: Apache-2.0
"""What ``up`` refuses to do, for ``plan`` to show and ``up`` to raise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfs_deploy.config.policies import policy_of
from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.launch.memory import memory_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.errors import TfsDeployError
    from tfs_deploy.launch.planning.facts import LaunchFacts


def refusals(facts: LaunchFacts, *, check_memory: bool = True) -> tuple[TfsDeployError, ...]:
    """Return what is refused; the first one is what ``up`` raises."""
    memory = memory_problem(facts.memory, beside=facts.server is not None) if check_memory else None
    return (
        *_missing_versions(facts),
        *_labels_in_use(facts),
        *_foreign_versions(facts),
        *(() if memory is None else (memory,)),
        *facts.problems,
    )


def _missing_versions(facts: LaunchFacts) -> Iterator[ModelError]:
    """Without this the server would wait for a version that is not there, its ports closed."""
    for model in facts.target.model_config_list.config:
        on_disk = sorted(facts.on_disk.get(model.name, ()))
        missing = sorted(set(policy_of(model).versions) - set(on_disk))
        if missing and model.base_path in facts.paths:
            base_path = facts.paths[model.base_path]
            yield ModelError(
                f"model {model.name!r} should serve version {missing[0]}, which is not in {base_path}",
                hint=f"versions there: {', '.join(map(str, on_disk)) or 'none'}",
            )


def _labels_in_use(facts: LaunchFacts) -> Iterator[UsageError]:
    """Yield an error for each label that clients are sent to and the file does not have: all their calls would fail."""
    has = {model.name: model.version_labels for model in facts.current.model_config_list.config}
    labels = f"keep the label, or give its traffic to other labels in {facts.source}"
    hint = f"{labels}; traffic.json in the state directory can be deleted once no client follows it"
    for model in facts.target.model_config_list.config:
        for label, share in sorted(facts.routed.get(model.name, {}).items()):
            if share <= 0 or label in model.version_labels:
                continue
            there = label in has.get(model.name, ())
            why = "so it cannot be removed" if there else f"which {facts.source} does not have"
            yield UsageError(f"{share:g} % of the traffic of {model.name} goes to label {label}, {why}", hint=hint)


def _foreign_versions(facts: LaunchFacts) -> Iterator[UsageError]:
    for name, versions in sorted(facts.foreign.items()):
        for version in versions:
            what = f"the server at {facts.server} serves {name} version {version}, which {facts.source} does not name"
            yield UsageError(what, hint="add it to the file, or unload it there")
