# SPDX-License-Identifier: Apache-2.0
"""``traffic.json``: how the requests for each model are split over its labels, for routers in other processes.

``{"generation": 7, "models": {"digits": {"stable": 95.0, "canary": 5.0}}}``. ``up`` and rollouts replace it under the
deployment's lock, each time as a whole, so a reader sees the old split or the new one; ``generation`` counts the
replacements. With ``"copies": {"digits": {"canary": 10.0}}`` 10 % of the requests are also sent, as copies, to
``canary``, and the answers to the copies are compared and thrown away. Routers of earlier releases read it: keys may be
added, never changed or removed.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.state.json_files import is_damage, read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME: Final = "traffic.json"
DAMAGED: Final = "traffic.damaged"
VERSION: Final = 1
_TOTAL: Final = 100.0
_TOLERANCE: Final = 1e-6
_REWRITE: Final = (
    "clients that follow it keep the split that they read last; remove the file, then start or resume the rollout, "
    "which writes it again"
)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a traffic file says: model -> label -> percent of the requests, and of the requests that are copied."""

    generation: int = 0
    models: dict[str, dict[str, float]] = field(default_factory=dict)
    copies: dict[str, dict[str, float]] = field(default_factory=dict)


def traffic_path(state_dir: Path) -> Path:
    """Return where the traffic file of a deployment is, whether it exists or not."""
    return state_dir / NAME


def read_traffic(path: Path | str) -> Traffic:
    """Return what a traffic file says; one that does not exist is generation 0 without models.

    Raises:
        EnvironmentFault: it cannot be read, or is not a traffic file.
    """
    found = read_json(Path(path), _traffic, known=VERSION, hint=_REWRITE, subject=f"the traffic file {path}")
    return found or Traffic()


def set_aside_if_damaged(path: Path) -> Path | None:
    """Rename a file whose content cannot be understood to ``.damaged``; return its new path, None if it is sound.

    Raises ``EnvironmentFault`` where the disk fails, or the file has a later format.
    """
    try:
        read_traffic(path)
    except EnvironmentFault as error:
        if not is_damage(error):
            raise
        return path.replace(path.with_name(DAMAGED))
    return None


def write_traffic(
    path: Path | str, model: str, weights: Mapping[str, float], *, copies: Mapping[str, float] | None = None
) -> Traffic:
    """Set one model's split, keep those of the others, and replace the file atomically.

    Args:
        path: the file; its directory is made if needed.
        model: the servable's name.
        weights: label -> percent; together 100.
        copies: label -> percent of the requests that are also sent there to be compared; none by default.

    Returns:
        What the file says now.

    Raises:
        UsageError: a weight is negative or not a number, or they do not add up to 100.
        EnvironmentFault: the file cannot be read or written.
    """
    checked = check_weights(weights, model)
    copied = check_copies(copies or {}, model)
    before = read_traffic(path)
    kept = {name: percents for name, percents in before.copies.items() if name != model}
    traffic = Traffic(
        before.generation + 1, {**before.models, model: checked}, {**kept, model: copied} if copied else kept
    )
    document = {key: value for key, value in asdict(traffic).items() if key != "copies" or value}
    try:
        write_json(Path(path), document, version=VERSION, indent=2, sort_keys=True)
    except EnvironmentFault as error:
        raise EnvironmentFault(
            f"the traffic file {path} cannot be written: {error.message}", hint=error.hint
        ) from error
    return traffic


def check_weights(weights: Mapping[str, Any], model: str) -> dict[str, float]:
    """Return the weights as floats; raise a ``UsageError`` unless they are percentages that add up to 100."""
    checked = _numbers(weights, model)
    total = sum(checked.values())
    if abs(total - _TOTAL) > _TOLERANCE:
        raise UsageError(
            f"the traffic of {model} adds up to {total:g} %", hint="the labels' percentages must add up to 100"
        )
    return checked


def check_copies(copies: Mapping[str, Any], model: str) -> dict[str, float]:
    """Return the shares of the requests that are copied as floats; ``UsageError`` unless each is a percentage."""
    return _numbers(copies, model, _TOTAL)


def _numbers(weights: Mapping[str, Any], model: str, limit: float = math.inf) -> dict[str, float]:
    checked = {}
    for label, weight in dict(weights).items():
        number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
        if not number or not math.isfinite(weight) or not 0 <= weight <= limit:
            raise UsageError(
                f"not a valid traffic share for label {label} of {model}: {weight!r}",
                hint="give a percentage from 0 to 100",
            )
        checked[str(label)] = float(weight)
    return checked


def _traffic(document: Any) -> Traffic:
    models = {str(model): check_weights(weights, model) for model, weights in dict(document["models"]).items()}
    copied = dict(document.get("copies", {}))
    copies = {str(model): check_copies(percents, model) for model, percents in copied.items()}
    return Traffic(int(document["generation"]), models, copies)
