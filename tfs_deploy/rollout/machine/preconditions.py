# SPDX-License-Identifier: Apache-2.0
"""The options that a caller gives a rollout, checked and turned into values before anything begins. Pure."""

from __future__ import annotations

import operator
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.gates.registry import parse_gate
from tfs_deploy.rollout.gates.spec import GateSpec
from tfs_deploy.rollout.machine.hook import RolloutHook, check_target
from tfs_deploy.rollout.machine.plan import TIMES, RolloutPlan, current_names
from tfs_deploy.rollout.machine.replica import Replica
from tfs_deploy.rollout.machine.strategies import CANARY, DEFAULT_STEPS, check_steps, parse_steps
from tfs_deploy.rollout.notation import parse_seconds
from tfs_deploy.text import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tfs_deploy.rollout.gates.gate import Gate
    from tfs_deploy.rollout.gates.spec import GateLike

#: fields that a rollout finds out by itself
_FOUND: Final = ("model", "old", "new", "others", "side_traffic", "leaving", "pull_from")


def option_values(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the plan's fields that a caller set, as values; raises ``UsageError`` for one unknown or not valid."""
    options = current_names(options)
    known = [entry.name for entry in fields(RolloutPlan) if entry.name not in _FOUND]
    for name in options:
        if name not in known:
            raise UsageError(
                f"unknown option of a rollout: {name}",
                hint=did_you_mean(name, known, otherwise=f"options: {', '.join(known)}"),
            )
    return {name: _value(name, value) for name, value in options.items()}


def _value(name: str, value: Any) -> Any:
    """Return an option as the plan has it: texts are parsed, once."""
    if name in TIMES and isinstance(value, str):
        return parse_seconds(value)
    if name == "notify":
        return tuple(map(check_target, value))
    read = {"hooks": RolloutHook.parse, "replicas": Replica.parse}.get(name)
    return value if read is None else tuple(read(each) if isinstance(each, str) else each for each in value)


def version_number(version: Any) -> int | None:
    """Return the number of a version, ``None`` without one; raises ``UsageError``."""
    if version is None:
        return None
    try:
        if not isinstance(version, bool):
            return operator.index(version)
    except TypeError:
        pass
    raise UsageError(f"{version!r} is not a valid version", hint="a version is a whole number, for example to=2")


def gates_of(gates: Iterable[GateLike | str] | None) -> tuple[tuple[GateSpec, ...], list[Gate] | None]:
    """Return the gates that were given as texts, and those given as objects: ``None`` unless these are the only ones.

    Raises ``UsageError`` for anything else now: in the middle of a rollout the canary would go unwatched.
    """
    specs: list[GateSpec] = []
    objects: list[Gate] = []
    for gate in gates or ():
        if isinstance(gate, GateSpec | str):
            specs.append(parse_gate(gate) if isinstance(gate, str) else gate)
        else:
            objects.append(_object(gate))
    if specs and objects:
        hint = "give all of them as texts, or all as objects"
        raise UsageError("gates are given as texts and as objects", hint=hint)
    return tuple(specs), None if gates is None or specs else objects


def _object(gate: Any) -> Gate:
    if not isinstance(getattr(gate, "name", None), str) or not callable(getattr(gate, "judge", None)):
        hint = "a gate is a text such as p99=50ms, or an object with a name and judge(StepView) -> GateVerdict"
        raise UsageError(f"{gate!r} is not a valid gate", hint=hint)
    checked: Gate = gate
    return checked


def steps_of(strategy: str, steps: Iterable[float] | str | None) -> tuple[float, ...]:
    """Return the caller's steps as percents, else the strategy's own; raises ``UsageError``."""
    if steps is None:
        return check_steps(DEFAULT_STEPS.get(strategy, ()), strategy)
    if isinstance(steps, str):
        return parse_steps(steps, strategy)
    try:
        percents = tuple(float(step) for step in steps)
    except (TypeError, ValueError):
        raise UsageError(f"steps {steps!r} are not percents", hint="for example steps=(5, 25, 50, 100)") from None
    return check_steps(percents, strategy if percents else CANARY)
