"""What ``up`` would do and what the server does about it, in order: decided from facts, nothing is touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from tfs_deploy.config.policies import policy_of
from tfs_deploy.config.transition import transition
from tfs_deploy.text import size_text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from tfs_deploy.launch.docker.container import Ports
    from tfs_deploy.launch.memory import Memory

Action = Literal["none", "start", "update", "replace"]


@dataclass(frozen=True, slots=True)
class Facts:
    """What a plan is made from.

    ``current`` and ``target`` are ModelServerConfigs; ``on_disk`` and ``loaded`` lead from models to versions;
    ``server`` names the one that runs, None without; ``settings`` are the lines in which it differs from the file;
    ``pair`` are the ports that a successor can use beside it; ``start_seconds`` is how long its start took. ``routed``
    are the weights that clients follow, ``foreign`` the loaded versions that nobody asked for through this file.
    """

    current: Any
    target: Any
    on_disk: Mapping[str, Collection[int]]
    loaded: Mapping[str, Collection[int]]
    server: str | None
    ports: Ports
    settings: tuple[str, ...] = ()
    pair: Ports | None = None
    start_seconds: float | None = None
    routed: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    foreign: Mapping[str, Collection[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """``steps`` in order, what each setting or model ``changes``, and what is ``refused``; ``gap`` in seconds."""

    action: Action
    steps: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    gap: float | None = None
    memory: Memory | None = None

    def __bool__(self) -> bool:
        return self.action != "none"

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        memory = self.memory
        return {
            "action": self.action,
            "steps": list(self.steps),
            "changes": list(self.changes),
            "refused": list(self.refused),
            "gap_seconds": self.gap,
            "memory": None
            if memory is None
            else {"models": memory.models, "peak": memory.peak, "room": memory.room, "fits": memory.fits},
        }


#: how long a start takes where nothing is known of an earlier one: the server's own start, without models
_START_SECONDS = 3.0


def make_plan(facts: Facts, changes: list[str], memory: Memory) -> Plan:
    """Decide what is to be done; ``changes`` are the lines in which the models of the file differ from those served."""
    refused = list(_refused(facts, memory))
    if facts.server is None:
        steps = [f"start a server on {_ports(facts.ports)}", *_loads(facts.target, facts.on_disk, {}), *_wait()]
        steps += list(_labels({}, facts.target))
        return Plan("start", tuple(steps), tuple(changes), tuple(refused), memory=memory)
    if facts.settings:
        gap = 0.0 if facts.pair is not None else facts.start_seconds or _START_SECONDS
        both = (*facts.settings, *changes)
        return Plan("replace", tuple(_replacing(facts, gap)), both, tuple(refused), gap, memory)
    steps = list(_updating(facts))
    if not steps and not changes:
        return Plan("none", refused=tuple(refused), memory=memory)
    return Plan("update", tuple(steps), tuple(changes), tuple(refused), memory=memory)


def _ports(ports: Ports) -> str:
    return f"gRPC port {ports.grpc}" + (f" and REST port {ports.rest}" if ports.rest else "")


def _replacing(facts: Facts, gap: float) -> Iterator[str]:
    loads = [*_loads(facts.target, facts.on_disk, {}), *_wait(), *_labels({}, facts.target)]
    if facts.pair is not None:
        yield f"start a second server on {_ports(facts.pair)}"
        yield from loads
        yield "ask every label of it"
        yield f"send the clients that follow the endpoint file there, wait for their last calls to {facts.server}"
        yield f"stop {facts.server}"
        return
    yield "start a second server on unused ports"
    yield from loads
    yield "ask every label of it, then stop it: it has proven the settings"
    yield f"stop {facts.server}: nobody serves from here, for about {gap:.1f} s"
    yield f"start the new server on {_ports(facts.ports)}, wait for every version"


def _updating(facts: Facts) -> Iterator[str]:
    before: Mapping[str, Collection[int]] = facts.loaded
    labels = {config.name: dict(config.version_labels) for config in facts.current.model_config_list.config}
    steps = transition(facts.current, facts.target, on_disk=facts.on_disk, loaded=facts.loaded)
    for config in steps:
        loads = list(_loads(config, facts.on_disk, before))
        yield from loads
        yield from _wait() if loads else ()
        yield from _labels(labels, config)
        yield from _unloads(config, facts.on_disk, before)
        before = _wanted(config, facts.on_disk)
        labels = {model.name: dict(model.version_labels) for model in config.model_config_list.config}


def _wanted(config: Any, on_disk: Mapping[str, Collection[int]]) -> dict[str, list[int]]:
    return {
        model.name: policy_of(model).select(on_disk.get(model.name, ())) for model in config.model_config_list.config
    }


def _loads(config: Any, on_disk: Mapping[str, Collection[int]], loaded: Mapping[str, Collection[int]]) -> Iterator[str]:
    for name, versions in _wanted(config, on_disk).items():
        for version in reversed(versions):  # the server loads the highest first
            if version not in loaded.get(name, ()):
                yield f"load {name} version {version}"


def _unloads(
    config: Any, on_disk: Mapping[str, Collection[int]], loaded: Mapping[str, Collection[int]]
) -> Iterator[str]:
    wanted = _wanted(config, on_disk)
    for name, versions in loaded.items():
        for version in sorted(versions):
            if version not in wanted.get(name, ()):
                yield f"unload {name} version {version}"


def _wait() -> Iterator[str]:
    yield "wait until every version is available"


def _labels(before: Mapping[str, Mapping[str, int]], config: Any) -> Iterator[str]:
    for model in config.model_config_list.config:
        had, has = before.get(model.name, {}), dict(model.version_labels)
        for label in sorted(had.keys() | has.keys()):
            if label not in has:
                yield f"remove label {label} of {model.name}"
            elif had.get(label) != has[label]:
                moved = f", from version {had[label]}" if label in had else ""
                yield f"point label {label} of {model.name} at version {has[label]}{moved}"


def _refused(facts: Facts, memory: Memory) -> Iterator[str]:
    yield from lost_labels(facts.current, facts.target, facts.routed)
    for name, versions in sorted(facts.foreign.items()):
        for version in versions:
            yield f"{name} version {version} is served and nobody asked for it here: name it in the file"
    if not memory.fits:
        yield f"about {size_text(memory.peak)} of memory is needed, {memory.limit} has {size_text(memory.room or 0)}"


def lost_labels(current: Any, target: Any, routed: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield the labels that would go although clients are sent to them."""
    kept = {model.name: dict(model.version_labels) for model in target.model_config_list.config}
    for model in current.model_config_list.config:
        for label in sorted(model.version_labels):
            share = routed.get(model.name, {}).get(label, 0.0)
            if share > 0 and model.name in kept and label not in kept[model.name]:
                yield f"{share:g} % of {model.name} goes to label {label}, which cannot be removed: set its traffic"
