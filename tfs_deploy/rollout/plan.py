"""The plan of a rollout: from which version to which, in which steps, with how much patience."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DEFAULT_STEPS: Final = (5.0, 25.0, 50.0, 100.0)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Plan:
    """One rollout of ``model`` from version ``old`` to version ``new``; all times in seconds.

    ``steps``: percent of traffic for the canary, rising, the last 100; empty for a direct switch.
    ``bake``: how long each step is watched; gates are asked every ``check_every`` and at the end.
    ``fail_after``: consecutive failing verdicts that stop the rollout.
    ``samples_timeout``, ``on_too_few``: how long to wait for samples after the bake, then ``fail`` or ``pause``.
    ``load_timeout``: for the new version to become AVAILABLE. ``outage``: how long the server may be silent, or
    an action fail for a passing reason, before the new version is withdrawn. ``patience``: the same for putting
    the old state back, after which a human is asked. ``resend``: how soon an action without effect is repeated.
    ``drain``: how long consumers may need to follow the traffic file. ``others``: labels that are left alone, and
    ``side_traffic``: the percents they have; the steps share out the rest.
    """

    model: str
    old: int
    new: int
    steps: tuple[float, ...] = DEFAULT_STEPS
    bake: float = 10.0
    check_every: float = 5.0
    fail_after: int = 1
    samples_timeout: float = 60.0
    on_too_few: str = "fail"
    load_timeout: float = 600.0
    outage: float = 10.0
    patience: float = 120.0
    resend: float = 5.0
    drain: float = 1.0
    poll: float = 0.2
    stable: str = "stable"
    canary: str = "canary"
    keep_old: bool = False
    keep_canary: bool = False
    need_goldens: bool = True
    allow_breaking: bool = False
    others: Mapping[str, int] = field(default_factory=dict)
    side_traffic: Mapping[str, float] = field(default_factory=dict)

    def versions(self, *wanted: int) -> tuple[int, ...]:
        """Return ``wanted`` and the versions that other labels need, sorted."""
        return tuple(sorted({*wanted, *self.others.values()}))

    def weights(self, step: int) -> dict[str, float]:
        """Return the weights of a step, counted from 0, in percent; they sum to 100."""
        room = 100.0 - sum(self.side_traffic.values())
        canary = room * self.steps[step] / 100.0
        weights = {self.stable: room - canary, self.canary: canary, **self.side_traffic}
        return {label: weight for label, weight in weights.items() if weight > 0}

    def safe_weights(self) -> dict[str, float]:
        """Return the weights that send everything of the canary to ``stable``."""
        return {self.stable: 100.0 - sum(self.side_traffic.values()), **self.side_traffic}

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            **asdict(self),
            "steps": list(self.steps),
            "others": dict(self.others),
            "side_traffic": dict(self.side_traffic),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Plan:
        """Read what ``as_dict`` wrote; keys of other program versions are left out."""
        known = {entry.name for entry in fields(cls)}
        kept = {key: value for key, value in values.items() if key in known}
        return cls(**{**kept, "steps": tuple(kept["steps"])})


def checked(plan: Plan) -> Plan:
    """Return ``plan`` if it can be carried out; raise ``UsageError`` with the first thing that is wrong."""
    check_steps(plan.steps)
    if plan.old == plan.new:
        message = f"version {plan.new} of {plan.model} is what {plan.stable} points at already"
        raise UsageError(message, hint="name another version with --to")
    if plan.stable == plan.canary:
        raise UsageError(f"the labels of stable and canary are both {plan.stable!r}")
    for name in ("bake", "drain", "samples_timeout"):
        value = getattr(plan, name)
        if not math.isfinite(value) or value < 0:
            raise UsageError(f"{name} is {value}, which is not a time of 0 seconds or more")
    if plan.fail_after < 1:
        raise UsageError(f"fail_after is {plan.fail_after}, but at least 1 failing verdict is needed")
    if plan.on_too_few not in ("fail", "pause"):
        raise UsageError(f"on_too_few is {plan.on_too_few!r}, but must be 'fail' or 'pause'")
    return plan


def check_steps(steps: Iterable[float]) -> tuple[float, ...]:
    """Return the steps of a rollout as percents; raise ``UsageError`` unless they rise, within 0 to 100, to 100."""
    percents = tuple(float(step) for step in steps)
    text = ",".join(f"{step:g}" for step in percents)
    hint = "give rising percents that end with 100, for example 5,25,50,100"
    if any(not math.isfinite(step) or step <= 0 or step > 100 for step in percents):
        raise UsageError(f"steps {text} hold a value outside 0 to 100", hint=hint)
    if any(first >= second for first, second in itertools.pairwise(percents)):
        raise UsageError(f"steps {text} do not rise", hint=hint)
    if percents and percents[-1] != 100:
        raise UsageError(f"steps {text} do not end with 100", hint=hint)
    return percents


def parse_steps(text: str) -> tuple[float, ...]:
    """Read ``5,25,50,100``; raises ``UsageError``."""
    try:
        values = [float(part.strip().removesuffix("%")) for part in text.split(",")]
    except ValueError:
        raise UsageError(f"steps {text!r} are not numbers", hint="for example --steps 5,25,50,100") from None
    return check_steps(values)


def parse_seconds(text: str) -> float:
    """Read a time such as ``10``, ``500ms``, ``10s``, ``5m`` or ``1h30m`` as seconds; raises ``UsageError``."""
    compact = text.replace(" ", "")
    try:
        return float(compact) if math.isfinite(float(compact)) and float(compact) >= 0 else _refuse_time(text)
    except ValueError:
        pass
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h)", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        return _refuse_time(text)
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _refuse_time(text: str) -> float:
    raise UsageError(f"{text!r} is not a time", hint="for example 10s, 500ms, 5m or 1h30m")
