# SPDX-License-Identifier: Apache-2.0
"""What is served now, where a rollout has moved it away from the deployment file.

A record belongs to the model's section of the file as it was when the rollout began (its digest). Once
that section is edited, the record no longer counts and the file wins again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tfs_deploy.deployment.deployment import VersionPolicy, canonical

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment, Model


@dataclass(frozen=True, slots=True)
class ActiveModel:
    """Versions and labels of one model as a rollout set them, and the digest of the section they replace."""

    versions: tuple[int, ...]
    labels: dict[str, int] = field(default_factory=dict)
    digest: str = ""

    @classmethod
    def of(cls, model: Model, versions: tuple[int, ...], labels: Mapping[str, int]) -> ActiveModel:
        """Make the record for ``model`` as the deployment file (not an overlay) describes it."""
        return cls(tuple(sorted(set(versions))), dict(labels), model_digest(model))


def model_digest(model: Model) -> str:
    """Return a digest of everything the deployment file says of a model."""
    text = json.dumps(canonical(model), sort_keys=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def apply_active(deployment: Deployment, active: Mapping[str, ActiveModel]) -> tuple[Deployment, list[str]]:
    """Return the deployment as it is served now, and a note for each record that an edit of the file ended."""
    models, notes = [], []
    for model in deployment.models:
        record = active.get(model.name)
        if record is None:
            models.append(model)
        elif record.digest != model_digest(model):
            models.append(model)
            notes.append(_ended(model, record))
        else:
            policy = VersionPolicy.specific(record.versions)
            models.append(dataclasses.replace(model, version_policy=policy, labels=dict(record.labels)))
    return dataclasses.replace(deployment, models=tuple(models)), notes


def kept_notes(deployment: Deployment, served: Deployment, record: Path) -> list[str]:
    """Return a note for each model that its last rollout left otherwise than the file says, and the two ways on.

    ``served`` is what ``apply_active`` made of ``deployment``, ``record`` the file that holds what rollouts left.
    """
    notes = []
    for written, now in zip(deployment.models, served.models, strict=True):
        policy, labels = now.version_policy, dict(sorted(now.labels.items()))
        if written is now or (written.version_policy == policy and written.labels == now.labels):
            continue
        values = f"versions: {{specific: {list(policy.versions)}}}, labels: {json.dumps(labels).replace(chr(34), '')}"
        notes.append(
            f"model {now.name!r} stays as its last rollout left it, which differs from {deployment.source}:"
            f" write {values} there, then check it with: tfs-deploy plan {deployment.source};"
            f" to go back to what the file says, delete {record} before the next up"
        )
    return notes


def _ended(model: Model, record: ActiveModel) -> str:
    labels = ", ".join(f"{label}={version}" for label, version in sorted(record.labels.items())) or "no labels"
    return (
        f"model {model.name!r} was edited in the deployment file after its last rollout, so the file is followed again;"
        f" the rollout had left versions {', '.join(map(str, record.versions))} with {labels}"
    )
