# SPDX-License-Identifier: Apache-2.0
"""The targets of a deployment's smoke test: its labels and versions."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from tfs_deploy import text
from tfs_deploy.deployment.active import apply_active
from tfs_deploy.errors import UsageError
from tfs_deploy.savedmodel.versions import list_versions
from tfs_deploy.smoke.results import Target
from tfs_deploy.smoke.smoke import ToleranceOverride, smoke_target
from tfs_deploy.state.active import read_active

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tfs_deploy.client.protocols import Predictor
    from tfs_deploy.deployment import Deployment, Model
    from tfs_deploy.smoke.results import SmokeCheck


def smoke_deployment(
    deployment: Deployment,
    clients: Mapping[str, Predictor],
    *,
    model: str | None = None,
    label: str | None = None,
    version: int | None = None,
    tolerance: ToleranceOverride | None = None,
) -> Iterator[SmokeCheck]:
    """Yield the checks of every label of every model, or of the chosen ones.

    A model without labels is checked by the numbers of the versions that its policy serves. Raises ``UsageError`` for
    an unknown model or label, and for a contradictory choice.
    """
    targets = smoke_targets(deployment, model=model, label=label, version=version)
    for chosen, target in targets:
        yield from smoke_target(chosen.name, chosen.base_path, target, clients, tolerance=tolerance)


def smoke_targets(
    deployment: Deployment, *, model: str | None = None, label: str | None = None, version: int | None = None
) -> list[tuple[Model, Target]]:
    """Return the targets that ``smoke_deployment`` checks; labels as rollouts have moved them."""
    if label is not None and version is not None:
        raise UsageError("a smoke test checks a version or a label, not both", hint="drop one of the two")
    current, _ = apply_active(deployment, read_active(deployment.state_dir))
    models = current.models if model is None else (find_model(current, model),)
    if version is not None:
        if len(models) > 1:
            raise UsageError("a version belongs to one model", hint="name the model with --model")
        return [(models[0], Target(version=version))]
    found = [(entry, target) for entry in models for target in _targets(entry) if label in (None, target.label)]
    if not found:
        known = {known for entry in models for known in entry.labels}
        raise UsageError(f"no model has the label {label!r}", hint=_hint(label or "", known, "labels"))
    return found


def find_model(deployment: Deployment, name: str) -> Model:
    """Return a model of the deployment; ``UsageError`` with the closest name for an unknown one."""
    try:
        return deployment.model(name)
    except (KeyError, StopIteration):
        names = [model.name for model in deployment.models]
        hint = _hint(name, names, "models")
        raise UsageError(f"{deployment.source.name} has no model {name!r}", hint=hint) from None


def _hint(word: str, known: Iterable[str], what: str) -> str:
    """Return the hint for an unknown word."""
    names = sorted(known)
    return text.did_you_mean(word, names, otherwise=f"{what} there: {', '.join(names) or 'none'}")


def _targets(model: Model) -> Iterator[Target]:
    if model.labels:
        for label, version in sorted(model.labels.items()):
            yield Target(label, version)
        return
    on_disk: list[int] = []
    with contextlib.suppress(UsageError):
        on_disk = [entry.number for entry in list_versions(model.base_path)]
    served = model.version_policy.select(on_disk) or list(model.version_policy.versions)
    for version in served:
        yield Target(version=version)
