"""What somebody asks of a rollout, looked at before anything begins. Pure."""

from __future__ import annotations

import operator
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError, did_you_mean
from tfs_deploy.rollout.machine.plan import TIMES, Plan, current_names, parse_seconds, parse_steps
from tfs_deploy.rollout.machine.strategies import CANARY, DEFAULT_STEPS, check_steps

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: what a rollout finds out by itself, and nobody sets
_FOUND: Final = ("model", "old", "new", "others", "side_traffic", "leaving")


def option_values(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of a plan as somebody set them, times as seconds; raises ``UsageError`` for what is no field."""
    options = current_names(options)
    known = [entry.name for entry in fields(Plan) if entry.name not in _FOUND]
    for name in options:
        if name not in known:
            raise UsageError(
                f"a rollout has no option {name!r}",
                hint=did_you_mean(name, known, otherwise=f"options: {', '.join(known)}"),
            )
    return {
        name: parse_seconds(value) if name in TIMES and isinstance(value, str) else value
        for name, value in options.items()
    }


def version_number(version: Any) -> int | None:
    """Return the number of a version, ``None`` for none; raises ``UsageError``."""
    if version is None:
        return None
    try:
        if not isinstance(version, bool):
            return operator.index(version)
    except TypeError:
        pass
    raise UsageError(f"{version!r} is no version", hint="a version is a whole number, for example to=2")


def require_gates(gates: Iterable[Any]) -> None:
    """Refuse what is no gate now: in the middle of a rollout nobody would watch the canary."""
    for gate in gates:
        if not isinstance(getattr(gate, "name", None), str) or not callable(getattr(gate, "judge", None)):
            hint = "a gate is a text such as p99=50ms, or an object with a name and judge(StepView) -> GateVerdict"
            raise UsageError(f"{gate!r} is no gate", hint=hint)


def steps_of(strategy: str, steps: Iterable[float] | str | None) -> tuple[float, ...]:
    """Return the steps that were asked for, else the strategy's own; raises ``UsageError``."""
    if steps is None:
        return check_steps(DEFAULT_STEPS.get(strategy, ()), strategy)
    if isinstance(steps, str):
        return parse_steps(steps, strategy)
    try:
        percents = tuple(float(step) for step in steps)
    except (TypeError, ValueError):
        raise UsageError(f"steps {steps!r} are no percents", hint="for example steps=(5, 25, 50, 100)") from None
    return check_steps(percents, strategy if percents else CANARY)
