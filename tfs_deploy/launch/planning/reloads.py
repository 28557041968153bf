# SPDX-License-Identifier: Apache-2.0
"""The reloads that bring a running server to its file, and what each of them makes the server do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.config.diff import diff
from tfs_deploy.config.policies import policy_of, set_policy
from tfs_deploy.config.transition import transition
from tfs_deploy.deployment.deployment import VersionPolicy
from tfs_deploy.launch.planning.steps import ReloadConfig, WriteTraffic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tfs_deploy.launch.planning.facts import LaunchFacts

    Versions = Mapping[str, Collection[int]]
    Labels = Mapping[str, Mapping[str, int]]

_WAIT = "wait until every version is available"


def load_everything(facts: LaunchFacts) -> tuple[str, ...]:
    """Return what a new server does until it serves the file."""
    return (*_loads(facts.target, facts.on_disk, {}), _WAIT, *_label_moves({}, facts.target))


def traffic(facts: LaunchFacts) -> list[WriteTraffic]:
    """Return a step for each model whose weights in the traffic file are not those of the deployment file."""
    return [
        WriteTraffic((_traffic_line(model, weights),), model, weights)
        for model, weights in facts.traffic.items()
        if weights and dict(facts.traffic_file.get(model, {})) != dict(weights)
    ]


def reloads(facts: LaunchFacts) -> Iterator[ReloadConfig | WriteTraffic]:
    """Yield the reloads in order, and each change of traffic as soon as every label that it names is there.

    So clients leave a label before it is removed. A reload that changes nothing is left out.
    """
    waiting = traffic(facts)
    labels = _labels_of(facts.current)
    yield from _possible(waiting, labels)
    sent = facts.current if facts.written is None else facts.written
    before: Versions = facts.loaded
    for config in transition(_holding(facts), facts.target, on_disk=facts.on_disk, loaded=facts.loaded):
        loads = list(_loads(config, facts.on_disk, before))
        unloads = _unloads(config, facts.on_disk, before)
        lines = [*loads, *([_WAIT] if loads else []), *_label_moves(labels, config), *_unload_lines(unloads)]
        if lines or diff(sent, config):
            yield ReloadConfig(tuple(lines) or ("reload the config",), config, unloads)
            sent = config
        before, labels = _wanted(config, facts.on_disk), _labels_of(config)
        yield from _possible(waiting, labels)
    yield from waiting


def _possible(waiting: list[WriteTraffic], labels: Labels) -> Iterator[WriteTraffic]:
    for step in list(waiting):
        if {label for label, share in step.weights.items() if share > 0} <= labels.get(step.model, {}).keys():
            waiting.remove(step)
            yield step


def _holding(facts: LaunchFacts) -> Any:
    """Return the current config with the versions that labels lead to, even if its policy has let them go.

    Such a server is one that has not come to its config yet; without this the version would go before its label.
    """
    message = protos.ModelServerConfig()
    message.CopyFrom(facts.current)
    for model in message.model_config_list.config:
        serving = set(facts.loaded.get(model.name, ()))
        selected = policy_of(model).select(facts.on_disk.get(model.name, ()))
        if serving.intersection(model.version_labels.values()) - set(selected):
            set_policy(model, VersionPolicy.specific(serving))
    return message


def _wanted(config: Any, on_disk: Versions) -> dict[str, list[int]]:
    return {
        model.name: policy_of(model).select(on_disk.get(model.name, ())) for model in config.model_config_list.config
    }


def _labels_of(config: Any) -> dict[str, dict[str, int]]:
    return {model.name: dict(model.version_labels) for model in config.model_config_list.config}


def _loads(config: Any, on_disk: Versions, loaded: Versions) -> Iterator[str]:
    for name, versions in _wanted(config, on_disk).items():
        for version in reversed(versions):  # the server loads the highest first
            if version not in loaded.get(name, ()):
                yield f"load {name} version {version}"


def _unloads(config: Any, on_disk: Versions, loaded: Versions) -> dict[str, list[int]]:
    wanted = _wanted(config, on_disk)
    leaving = {name: sorted(set(versions) - set(wanted.get(name, ()))) for name, versions in loaded.items()}
    return {name: versions for name, versions in leaving.items() if versions}


def _unload_lines(unloads: Versions) -> Iterator[str]:
    for name, versions in unloads.items():
        yield from (f"unload {name} version {version}" for version in versions)


def _label_moves(before: Labels, config: Any) -> Iterator[str]:
    for model in config.model_config_list.config:
        had, has = before.get(model.name, {}), dict(model.version_labels)
        for label in sorted(had.keys() | has.keys()):
            if label not in has:
                yield f"remove label {label} of {model.name}"
            elif had.get(label) != has[label]:
                moved = f", from version {had[label]}" if label in had else ""
                yield f"point label {label} of {model.name} at version {has[label]}{moved}"


def _traffic_line(model: str, weights: Mapping[str, float]) -> str:
    shares = ", ".join(f"{share:g} % to label {label}" for label, share in sorted(weights.items()))
    return f"set the traffic of {model}: {shares}"
