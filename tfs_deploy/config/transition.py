# SPDX-License-Identifier: Apache-2.0
"""The steps from the config that a server has to the one it should have; none of them fails a request.

The server refuses a label on a version that is not loaded yet, even if the same request loads it, and then changes
nothing at all; and a version that is dropped in the same request as its label moves would be missed by requests under
way. So: load what is new and keep everything old, then move labels, then drop what is no longer needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.config.policies import policy_of, set_policy
from tfs_deploy.deployment.deployment import VersionPolicy

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


def transition(
    current: Any,
    target: Any,
    *,
    on_disk: Mapping[str, Collection[int]],
    loaded: Mapping[str, Collection[int]],
) -> list[Any]:
    """Return the configs to send one after the other; the last is ``target``, equal neighbours are left out.

    ``on_disk`` are the versions under each model's base path, ``loaded`` those that the server serves now. Before
    the config after the first is sent, every version that the first asks for has to be available.
    """
    loading = _loading(current, target, on_disk, loaded)
    labelled = protos.ModelServerConfig()
    labelled.CopyFrom(loading)
    wanted = {config.name: config for config in target.model_config_list.config}
    for config in labelled.model_config_list.config:
        if config.name in wanted:
            _set_labels(config, dict(wanted[config.name].version_labels))
    steps = [loading]
    steps.extend(step for step in (labelled, target) if step != steps[-1])
    return steps if steps[-1] == target else [*steps, target]


def _loading(
    current: Any,
    target: Any,
    on_disk: Mapping[str, Collection[int]],
    loaded: Mapping[str, Collection[int]],
) -> Any:
    before = {config.name: config for config in current.model_config_list.config}
    message = protos.ModelServerConfig()
    message.model_config_list.SetInParent()
    for new in target.model_config_list.config:
        config = message.model_config_list.config.add()
        config.CopyFrom(new)
        old = before.pop(new.name, None)
        serving = loaded.get(new.name, ())
        if old is not None and old.base_path == new.base_path:
            set_policy(config, _with(policy_of(new), policy_of(old), on_disk.get(new.name, ()), serving))
        _keep_labels(config, old, serving)
    for leaving in before.values():
        serving = loaded.get(leaving.name, ())
        if serving:
            config = message.model_config_list.config.add()
            config.CopyFrom(leaving)
            set_policy(config, VersionPolicy.specific(serving))
            _keep_labels(config, leaving, serving)
    return message


def _with(new: VersionPolicy, old: VersionPolicy, on_disk: Collection[int], serving: Collection[int]) -> VersionPolicy:
    """Add what is served now to a new policy; a version that the old one wanted and that never loaded is let go."""
    kept = set(serving) - set(new.select(on_disk))
    return new if old == new or not kept else VersionPolicy.specific({*kept, *new.select(on_disk)})


def _keep_labels(config: Any, old: Any | None, loaded: Collection[int]) -> None:
    """Keep the labels whose version can be served; any other would have the whole request refused."""
    labels = dict(old.version_labels) if old is not None else {}
    _set_labels(config, {label: version for label, version in labels.items() if version in loaded})


def _set_labels(config: Any, labels: Mapping[str, int]) -> None:
    config.version_labels.clear()
    for label in sorted(labels):
        config.version_labels[label] = labels[label]
