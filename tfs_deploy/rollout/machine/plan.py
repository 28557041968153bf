"""The plan of a rollout: from which version to which, in which steps, with how much patience."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.machine.observation import Split
from tfs_deploy.rollout.machine.strategies import AB, CANARY, DEFAULT_STEPS, SHADOW, check_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
#: fields that are times
TIMES: Final = (
    *("bake", "check_every", "drain", "samples_timeout", "keep_warm"),
    *("load_timeout", "outage", "patience", "resend", "poll"),
)


#: names of flags in earlier releases, which journals and callers may still use, and the opposites that replaced them
_INVERTED: Final = {
    "need_goldens": "allow_missing_goldens",
    "need_warmup": "allow_missing_warmup",
    "need_memory": "ignore_memory",
    "need_clean": "ignore_lint",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """One rollout of ``model`` from version ``old`` to version ``new``; all times in seconds.

    ``strategy``: see ``strategies``. ``steps``: percent of traffic for the canary, rising; empty for a direct switch.
    ``bake``: how long each step is watched; gates are asked every ``check_every`` and at the end.
    ``fail_after``: consecutive failing verdicts that stop the rollout.
    ``samples_timeout``, ``on_too_few``: how long to wait for samples after the bake, then ``fail`` or ``pause``.
    ``manual``: pause after the steps until a human says yes; an experiment always does.
    ``load_timeout``: for the new version to become AVAILABLE. ``outage``: how long a server may be silent, or
    an action fail for a passing reason, before the new version is withdrawn. ``patience``: the same for putting
    the old state back, after which a human is asked. ``resend``: how soon an action without effect is repeated.
    ``drain``: how long consumers may need to follow the traffic file. ``keep_warm``: how long the old version stays
    loaded after the promotion; ``keep_old``: for good. ``retain``: how many versions stay on disk, ``None`` for all.
    ``others``: labels that are left alone, and ``side_traffic``: the percents they have; the steps share out the rest.
    ``back``: it is a rollback, to a version that was stable before.
    ``leaving``: versions at which no label points; the first reload unloads them.
    ``verdict``: the file of a verification that has to say yes to the new version; none is asked for if empty.
    ``gates`` to ``replicas``: what a process that takes the rollout up has to set up again (see ``setup``).
    ``directory``: where the commands of gates and hooks run, whoever takes the rollout up.
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
    gates: tuple[str, ...] = ()
    default_gates: bool = True
    min_samples: int = 30
    requests_file: str = ""
    verdict: str = ""
    recorded: bool = False
    hooks: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    replicas: tuple[str, ...] = ()
    directory: str = ""

    @property
    def needs_approval(self) -> bool:
        """Whether a human has to say yes before the promotion."""
        return self.manual or self.strategy == AB

    @property
    def comparable(self) -> bool:
        """Whether ``stable`` gets requests beside the canary in the first step, so that there is a comparison."""
        return not self.steps or self.stable in self.split(0).weights

    def versions(self, *wanted: int) -> tuple[int, ...]:
        """Return ``wanted`` and the versions that other labels need, sorted."""
        return tuple(sorted({*wanted, *self.others.values()}))

    def told_leaving(self) -> str:
        """Say which versions are unloaded by the way; empty if none are."""
        names = ", ".join(map(str, self.leaving))
        which = f"versions {names}, at which no label points, leave" if len(self.leaving) > 1 else ""
        return which or (f"version {names}, at which no label points, leaves" if names else "")

    def split(self, step: int) -> Split:
        """Return the traffic of a step, counted from 0; the weights sum to 100."""
        if self.strategy == SHADOW:
            return Split(self.safe_split().weights, {self.canary: self.steps[step]})
        room = 100.0 - sum(self.side_traffic.values())
        canary = room * self.steps[step] / 100.0
        weights = {self.stable: room - canary, self.canary: canary, **self.side_traffic}
        return Split({label: weight for label, weight in weights.items() if weight > 0})

    def safe_split(self) -> Split:
        """Return the traffic that sends everything of the canary to ``stable``."""
        return Split({self.stable: 100.0 - sum(self.side_traffic.values()), **self.side_traffic})

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        values = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """Read what ``as_dict`` wrote; keys of other program versions are left out."""
        known = {entry.name for entry in fields(cls)}
        kept: dict[str, Any] = {key: _frozen(value) for key, value in current_names(values).items() if key in known}
        return cls(**kept)


def current_names(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields under the names they have now: a flag ``need_X`` of earlier releases said the opposite."""
    return {_INVERTED.get(name, name): not value if name in _INVERTED else value for name, value in values.items()}


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def checked(plan: Plan) -> Plan:
    """Return ``plan`` if it can be carried out; raise ``UsageError`` with the first thing that is wrong."""
    check_steps(plan.steps, plan.strategy if plan.steps else CANARY)
    if plan.old == plan.new:
        message = f"version {plan.new} of {plan.model} is what {plan.stable} points at already"
        raise UsageError(message, hint="name another version with --to")
    if plan.stable == plan.canary:
        message = f"the labels of stable and canary are both {plan.stable!r}"
        raise UsageError(message, hint="give the new version a label of its own, for example canary")
    for name in TIMES:
        value = getattr(plan, name)
        if not math.isfinite(value) or value < 0:
            message = f"{name} is {value}, which is not a time of 0 seconds or more"
            raise UsageError(message, hint=f"give seconds, for example {name}=10.0")
    if plan.fail_after < 1:
        message = f"fail_after is {plan.fail_after}, but at least 1 failing verdict is needed"
        raise UsageError(message, hint="fail_after=1 goes back at the first")
    if plan.on_too_few not in ("fail", "pause"):
        message = f"on_too_few is {plan.on_too_few!r}, but must be 'fail' or 'pause'"
        raise UsageError(message, hint="'fail' goes back, 'pause' asks a human")
    if plan.retain is not None and plan.retain < 2:
        raise UsageError(f"retain is {plan.retain}, but the version to go back to has to stay", hint="keep at least 2")
    return plan


def parse_steps(text: str, strategy: str = CANARY) -> tuple[float, ...]:
    """Read ``5,25,50,100``; raises ``UsageError``."""
    try:
        values = [float(part.strip().removesuffix("%")) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"steps {text!r} are not numbers", hint="for example --steps 5,25,50,100") from None
    return check_steps(values, strategy)


def parse_seconds(text: str) -> float:
    """Read a time such as ``10``, ``500ms``, ``10s``, ``5m``, ``1h30m`` or ``7d`` as seconds; raises ``UsageError``."""
    compact = text.replace(" ", "")
    try:
        return float(compact) if math.isfinite(float(compact)) and float(compact) >= 0 else _refuse_time(text)
    except ValueError:
        pass
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        return _refuse_time(text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _refuse_time(text: str) -> float:
    raise UsageError(f"{text!r} is not a time", hint="for example 10s, 500ms, 5m or 1h30m")
