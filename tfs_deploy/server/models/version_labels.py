# SPDX-License-Identifier: Apache-2.0
"""Version labels: which ones may be assigned, and the versions they stand for (model_servers/server_core.cc)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from tfs_deploy.errors import FailedPreconditionError, InvalidArgumentError

Labels = Mapping[str, Mapping[str, int]]


def assign_labels(
    wanted: Labels, current: Labels, *, is_available: Callable[[str, int], bool], allow_unavailable: bool
) -> dict[str, dict[str, int]]:
    """Return the new labels of all models; one that is refused refuses them all.

    A label must point at an available version. With ``allow_unavailable`` a label that is new, or stays where it is,
    may point anywhere; moving one to an unavailable version is still refused.

    Raises:
        FailedPreconditionError: with the server's text.
    """
    labels: dict[str, dict[str, int]] = {}
    for model, versions in wanted.items():
        for label, version in versions.items():
            existing = current.get(model, {}).get(label)
            free = allow_unavailable and existing in (None, version)
            if not free and not is_available(model, version):
                raise FailedPreconditionError(
                    f"Request to assign label to version {version} of model {model}, "
                    "which is not currently available for inference"
                )
            labels.setdefault(model, {})[label] = version
    return labels


def resolve_label(labels: Labels, model: str, label: str) -> int:
    """Return the version that a label stands for; raises ``InvalidArgumentError`` with the server's text."""
    version = labels.get(model, {}).get(label)
    if version is None:
        raise InvalidArgumentError(f"Unrecognized servable version label: {label}")
    return version
