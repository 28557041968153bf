# SPDX-License-Identifier: Apache-2.0
"""What TAB completes of the toolkit's own names: lint rules, groups of checks, metrics, budgets, gates, phases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tfs_deploy.cli.line.words import beginning_with, list_of, one_of_these

#: the keys of ``verify/measure/metrics.METRICS``, whose module needs NumPy
METRICS: Final = ("accuracy", "precision", "recall", "f1", "auc", "log_loss", "mae", "mse", "rmse", "r2")

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tfs_deploy.cli.line.words import Completer


def _rules() -> Iterator[tuple[str, str]]:
    from tfs_deploy.savedmodel.lint import RULES

    yield from ((rule.id, rule.summary) for rule in RULES)
    yield from ((rule.name, rule.summary) for rule in RULES)


def _groups() -> Iterator[tuple[str, str]]:
    from tfs_deploy.verify.checks import GROUPS

    yield from GROUPS.items()


def _budgets() -> Iterator[str]:
    from tfs_deploy.verify.measure.budgets import METRICS

    yield from METRICS


def _gates() -> Iterator[tuple[str, str]]:
    from tfs_deploy.rollout.gates.registry import KINDS

    for kind in KINDS:
        about = kind.usage[0][1] if kind.usage else ""
        yield from ((f"{name}=", about) for name in kind.names)


def _phases() -> Iterator[str]:
    from tfs_deploy.rollout.machine.phases import PHASES

    yield from (f"{when}:{phase}=" for when in ("before", "after") for phase in PHASES)


rules: Final[Completer] = list_of(_rules)
groups: Final[Completer] = one_of_these(_groups)
metrics: Final[Completer] = beginning_with(lambda: METRICS)
budgets: Final[Completer] = beginning_with(_budgets)
gates: Final[Completer] = beginning_with(_gates)
phases: Final[Completer] = beginning_with(_phases)
