# SPDX-License-Identifier: Apache-2.0
"""The plan of a rollout: from which version to which, in which steps, with which patience."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.gates.registry import recorded_gate
from tfs_deploy.rollout.machine.hook import RolloutHook
from tfs_deploy.rollout.machine.replica import Replica
from tfs_deploy.rollout.machine.strategies import AB, CANARY, DEFAULT_STEPS, SHADOW, check_steps
from tfs_deploy.rollout.machine.traffic_split import TrafficSplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tfs_deploy.rollout.gates.spec import GateSpec

#: fields that are times
TIMES: Final = (
    *("bake", "check_every", "drain", "samples_timeout", "keep_warm"),
    *("load_timeout", "outage", "patience", "resend", "poll"),
)
#: fields that are texts in journals and JSON documents -> what reads one
_READ: Final[dict[str, Callable[[str], Any]]] = {
    "gates": recorded_gate,
    "hooks": RolloutHook.recorded,
    "replicas": Replica.parse,
}
#: what can happen when a gate has too few requests for too long
ON_TOO_FEW: Final = ("fail", "pause", "pass")
#: flags as journals and JSON documents have them, and callers of earlier releases -> the field that says the opposite
_INVERTED: Final = {
    "need_goldens": "allow_missing_goldens",
    "need_warmup": "allow_missing_warmup",
    "need_memory": "ignore_memory",
    "need_clean": "ignore_lint",
}


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """One rollout of ``model`` from version ``old`` to version ``new``; all times in seconds.

    ``strategy``: see ``strategies``. ``steps``: the canary's percents of traffic, rising; empty for a direct switch.
    ``bake``: how long each step is watched; gates judge every ``check_every`` and at the end.
    ``fail_after``: consecutive failing verdicts that stop the rollout.
    ``samples_timeout``, ``on_too_few``: how long to wait for samples after the bake, then ``fail``, ``pause``, or
    ``pass``: then a gate with too few requests is not judged.
    ``require_traffic``: a step in which no request reached the canary has too few samples; else it is told and not
    judged. ``Rollout`` requires it unless told otherwise where there are consumers that record, or a source of numbers.
    ``manual``: pause after the steps until a person approves; an experiment always does.
    ``load_timeout``: for the new version to become AVAILABLE. ``outage``: how long a server may be silent, or
    an action fail for a passing reason, before the new version is withdrawn. ``patience``: the same for putting
    the old state back, after which the rollout pauses. ``resend``: how soon an action without effect is repeated.
    ``drain``: how long consumers may need to follow the traffic file. ``keep_warm``: how long the old version stays
    loaded after the promotion; ``keep_old``: for good. ``retain``: how many versions stay on disk, ``None`` for all.
    ``others``: labels that are left alone, and ``side_traffic``: their percents; the steps share out the rest.
    ``back``: it is a rollback, to a version that was stable before.
    ``leaving``: versions without a label, which the first reload unloads.
    ``verdict``: the verdict file of a verification that has to accept the new version, empty for none.
    ``gates`` to ``replicas``: what a process that resumes the rollout has to set up again (see ``setup``).
    ``gate_headers``, ``gate_ca``: what goes with the URLs of gates (see ``web_access``).
    ``any_server``: act on whatever server answers on the deployment's ports, not only on its own.
    ``pull_from``: the place in a store that the new version comes from before anything else; empty: it is on disk.
    ``directory``: where the commands of gates and hooks run, whichever process resumes the rollout.
    """

    model: str
    old: int
    new: int
    strategy: str = CANARY
    steps: tuple[float, ...] = DEFAULT_STEPS[CANARY]
    bake: float = 10.0
    check_every: float = 5.0
    fail_after: int = 1
    samples_timeout: float = 60.0
    on_too_few: str = "fail"
    manual: bool = False
    load_timeout: float = 600.0
    outage: float = 10.0
    patience: float = 120.0
    resend: float = 5.0
    drain: float = 1.0
    keep_warm: float = 0.0
    poll: float = 0.2
    stable: str = "stable"
    canary: str = "canary"
    keep_old: bool = False
    keep_canary: bool = False
    retain: int | None = None
    allow_missing_goldens: bool = False
    allow_missing_warmup: bool = False
    ignore_memory: bool = False
    ignore_lint: bool = False
    allow_breaking: bool = False
    others: Mapping[str, int] = field(default_factory=dict)
    side_traffic: Mapping[str, float] = field(default_factory=dict)
    back: bool = False
    leaving: tuple[int, ...] = ()
    gates: tuple[GateSpec, ...] = ()
    default_gates: bool = True
    min_samples: int = 30
    requests_file: str = ""
    verdict: str = ""
    recorded: bool = False
    hooks: tuple[RolloutHook, ...] = ()
    notify: tuple[str, ...] = ()
    replicas: tuple[Replica, ...] = ()
    directory: str = ""
    require_traffic: bool = False
    gate_headers: tuple[str, ...] = ()
    gate_ca: str = ""
    any_server: bool = False
    pull_from: str = ""

    @property
    def needs_approval(self) -> bool:
        """Whether a person has to approve the promotion."""
        return self.manual or self.strategy == AB

    @property
    def comparable(self) -> bool:
        """Whether ``stable`` gets requests beside the canary in the first step, so that they can be compared."""
        return not self.steps or self.stable in self.split(0).weights

    def versions(self, *wanted: int) -> tuple[int, ...]:
        """Return ``wanted`` and the versions that other labels need, sorted."""
        return tuple(sorted({*wanted, *self.others.values()}))

    def told_leaving(self) -> str:
        """Name the versions that the first reload unloads; empty for none."""
        names = ", ".join(map(str, self.leaving))
        which = f"versions {names}, which have no label, are unloaded" if len(self.leaving) > 1 else ""
        return which or (f"version {names}, which has no label, is unloaded" if names else "")

    def split(self, step: int) -> TrafficSplit:
        """Return the traffic of a step, counted from 0; the weights sum to 100."""
        if self.strategy == SHADOW:
            return TrafficSplit(self.safe_split().weights, {self.canary: self.steps[step]})
        room = 100.0 - sum(self.side_traffic.values())
        canary = room * self.steps[step] / 100.0
        weights = {self.stable: room - canary, self.canary: canary, **self.side_traffic}
        return TrafficSplit({label: weight for label, weight in weights.items() if weight > 0})

    def safe_split(self) -> TrafficSplit:
        """Return the traffic in which ``stable`` has the canary's share."""
        return TrafficSplit({self.stable: 100.0 - sum(self.side_traffic.values()), **self.side_traffic})

    def rescue_split(self) -> TrafficSplit:
        """Return the traffic in which the canary has all that ``stable`` and it share."""
        return TrafficSplit({self.canary: 100.0 - sum(self.side_traffic.values()), **self.side_traffic})

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values = asdict(self) | {name: [str(value) for value in getattr(self, name)] for name in _READ}
        values |= {written: not values.pop(name) for written, name in _INVERTED.items()}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RolloutPlan:
        """Read what ``as_dict`` wrote; keys of other program versions are left out."""
        known = {entry.name for entry in fields(cls)}
        kept: dict[str, Any] = {key: _frozen(value) for key, value in current_names(values).items() if key in known}
        return cls(**kept | {name: tuple(map(read, values.get(name, ()))) for name, read in _READ.items()})


def current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields under the names they have now: a flag ``need_X`` of earlier releases said the opposite."""
    return {_INVERTED.get(name, name): not value if name in _INVERTED else value for name, value in values.items()}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def checked(plan: RolloutPlan) -> RolloutPlan:
    """Return ``plan`` if it can be carried out; raise ``UsageError`` with the first thing that is wrong."""
    check_steps(plan.steps, plan.strategy if plan.steps else CANARY)
    if plan.old == plan.new:
        message = f"version {plan.new} of {plan.model} is already {plan.stable}"
        raise UsageError(message, hint="name another version with --to")
    if plan.stable == plan.canary:
        message = f"stable and canary have the same label {plan.stable!r}"
        raise UsageError(message, hint="give the new version a label of its own, for example canary")
    for name in TIMES:
        value = getattr(plan, name)
        if not math.isfinite(value) or value < 0:
            message = f"{name} is {value}, but must be 0 seconds or more"
            raise UsageError(message, hint=f"give seconds, for example {name}=10.0")
    if plan.fail_after < 1:
        message = f"fail_after is {plan.fail_after}, but at least 1 failing verdict is needed"
        raise UsageError(message, hint="fail_after=1 rolls back at the first")
    if plan.on_too_few not in ON_TOO_FEW:
        message = f"on_too_few is {plan.on_too_few!r}, but must be 'pass', 'fail' or 'pause'"
        raise UsageError(message, hint="'fail' rolls back, 'pause' waits for a person, 'pass' goes on without the gate")
    if plan.retain is not None and plan.retain < 2:
        raise UsageError(f"retain is {plan.retain}, but a version to roll back to has to stay", hint="keep at least 2")
    return plan
