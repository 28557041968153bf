# SPDX-License-Identifier: Apache-2.0
"""Budgets of a load test: ``p99 < 20ms``, ``throughput >= 200/s``, or, relative to the baseline, ``p99 < 1.2x``."""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from tfs_deploy.errors import EnvironmentFault, Problem, SpecError, UsageError, file_hint
from tfs_deploy.extras import import_extra
from tfs_deploy.quantiles import QUANTILES, requests_for
from tfs_deploy.text import did_you_mean, one_line
from tfs_deploy.verify.checks import failed, passed, skipped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tfs_deploy.verify.checks import Judgement
    from tfs_deploy.verify.measure.load_test_result import LoadTestResult

#: metric that a budget can limit -> the kind of its value
METRICS: Final = {
    "p50": "time",
    "p90": "time",
    "p95": "time",
    "p99": "time",
    "throughput": "rate",
    "errors": "share",
    "memory": "size",
    "cpu": "number",
}
#: metrics of the server's process, which one started elsewhere does not show
PROCESS_METRICS: Final = frozenset({"memory", "cpu"})
#: kind -> unit (any case) -> what one of it is, in seconds, answers a second, shares of 1, bytes, CPUs
_UNITS: Final[dict[str, dict[str, float]]] = {
    "time": {"us": 1e-6, "ms": 1e-3, "s": 1.0},
    "rate": {"/s": 1.0, "": 1.0},
    "share": {"%": 0.01, "": 1.0},
    "size": {"kb": 1e3, "mb": 1e6, "gb": 1e9, "kib": 2.0**10, "mib": 2.0**20, "gib": 2.0**30},
    "number": {"": 1.0},
}
_SHOWN: Final = {
    "time": (1e3, "ms"),
    "rate": (1.0, "/s"),
    "share": (100.0, "%"),
    "size": (1e-6, "MB"),
    "number": (1.0, "CPUs"),
}
_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
#: what a budget of a quantile does with too few requests: the check fails, or is skipped
OnTooFew = Literal["fail", "skip"]
_FORM: Final = re.compile(
    r"\s*(?P<metric>[\w.]+)\s*(?P<sign><=|>=|<|>)\s*(?P<number>\d+(\.\d+)?)\s*(?P<unit>[a-zA-Z/%]*)\s*(baseline)?\s*"
)
_HINT: Final = "write it like 'p99 < 20ms', 'throughput >= 200/s', 'errors <= 1%', 'memory < 2GB' or 'p99 < 1.2x'"


@dataclass(frozen=True, slots=True)
class Budget:
    """One limit: ``limit`` in seconds, answers a second, a share of 1, bytes, CPUs, or times the baseline's value."""

    metric: str
    sign: str
    limit: float
    relative: bool
    text: str

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Return the budget that a text describes; ``UsageError`` names what is wrong with it."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is not a valid budget", hint=_HINT)
        metric, unit = match["metric"].lower(), match["unit"].lower()
        if metric not in METRICS:
            hint = did_you_mean(metric, METRICS, otherwise=f"metrics: {', '.join(METRICS)}")
            raise UsageError(f"{text!r}: unknown metric {metric!r}", hint=hint)
        number, clean = float(match["number"]), one_line(text)
        if unit == "x":
            if metric in PROCESS_METRICS:
                raise UsageError(
                    f"{text!r}: one server runs both versions, so its {metric} cannot be compared", hint=_HINT
                )
            return cls(metric, match["sign"], number, relative=True, text=clean)
        units = _UNITS[METRICS[metric]]
        if unit not in units:
            known = ", ".join(repr(each) for each in units if each) or "none"
            raise UsageError(f"{text!r}: {unit or 'no unit'!r} does not fit {metric}", hint=f"units: {known}, or x")
        return cls(metric, match["sign"], number * units[unit], relative=False, text=clean)

    @property
    def needs(self) -> int:
        """How many answered requests it takes to judge this (see ``quantiles.requests_for``)."""
        return requests_for(self.metric) if self.metric in QUANTILES else 0

    def judge(
        self, measured: LoadTestResult, baseline: LoadTestResult | None, *, on_too_few: OnTooFew = "fail"
    ) -> Judgement:
        """Judge a load test; a relative budget by the baseline's in the same run.

        A quantile of fewer requests than it needs is not judged under its name: ``on_too_few`` fails or skips it.
        """
        missing = self._missing(measured, baseline)
        if missing:
            return (skipped if on_too_few == "skip" else failed)(missing)
        value = value_of(measured, self.metric)
        if value is None:
            return failed(f"{self.text}: {self.metric} could not be measured")
        limit, against = self.limit, ""
        if self.relative:
            base = None if baseline is None else value_of(baseline, self.metric)
            if base is None:
                return failed(f"{self.text}: the baseline's {self.metric} could not be measured")
            limit, against = self.limit * base, f" (the baseline's is {self._shown(base)})"
        holds = _OPERATORS[self.sign](value, limit)
        factor, unit = _SHOWN[METRICS[self.metric]]
        judge = passed if holds else failed
        how = "within" if holds else "outside"
        return judge(f"{self.metric} is {self._shown(value)}, {how} {self.text}{against}", value * factor, unit)

    def _missing(self, measured: LoadTestResult, baseline: LoadTestResult | None) -> str:
        """Say which load test has too few requests for the quantile; empty if both have enough."""
        for whose, result in (("", measured), (" of the baseline", baseline if self.relative else None)):
            if result is not None and len(result.latencies) < self.needs:
                answered = f"{len(result.latencies)} of {self.needs}"
                longer = "give a longer --load, a lower quantile, or --on-too-few skip"
                return f"{self.text}: not enough requests{whose} for {self.metric} ({answered}); {longer}"
        return ""

    def _shown(self, value: float) -> str:
        factor, unit = _SHOWN[METRICS[self.metric]]
        return f"{value * factor:.4g} {unit}"


def value_of(measured: LoadTestResult, metric: str) -> float | None:
    """Return a metric of a load test in the unit of ``Budget.limit``; ``None`` if it was not measured."""
    if metric in QUANTILES:
        return measured.quantile(metric)
    if metric == "throughput":
        return measured.throughput
    if metric == "errors":
        sent = len(measured.latencies) + measured.errors
        return measured.errors / sent if sent else None
    return measured.cpu if metric == "cpu" else measured.memory


def read_budgets(given: Iterable[str]) -> list[Budget]:
    """Return the budgets of texts that are each a limit, or the path of a YAML file with ``budgets: [...]``.

    Raises:
        SpecError: a file is invalid; lists every problem in it (``file:line: path: message``).
        UsageError: a limit is invalid, or a file does not exist.
    """
    budgets = []
    for text in given:
        budgets += [Budget.parse(text)] if "<" in text or ">" in text else _of_file(Path(text))
    return budgets


def _of_file(path: Path) -> list[Budget]:
    tree = import_extra("tfs_deploy.deployment.file.yaml_reader", "cli").read_yaml(_read(path), "budget file")
    problems = [Problem(str(path), line, "", message) for line, _, message in tree.problems]

    def wrong(place: tuple[Any, ...], message: str) -> None:
        shown = "".join(f"[{part}]" if isinstance(part, int) else str(part) for part in place)
        problems.append(Problem(str(path), tree.line(place), shown, message))

    budgets: list[Budget] = []
    data = tree.data
    if not problems and not (isinstance(data, dict) and isinstance(data.get("budgets"), list) and data["budgets"]):
        wrong((), "a list 'budgets' with at least one budget is missing")
    elif not problems:
        for key in data:
            if key != "budgets":
                wrong((key,), "unknown key; a budget file has: budgets")
        for number, entry in enumerate(data["budgets"]):
            found = _parsed(str(entry))
            if isinstance(found, Budget):
                budgets.append(found)
            else:
                wrong(("budgets", number), f"{found.message} ({found.hint})")
    if problems:
        raise SpecError(sorted(problems, key=lambda problem: problem.line))
    return budgets


def _parsed(text: str) -> Budget | UsageError:
    try:
        return Budget.parse(text)
    except UsageError as error:
        return error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path} is neither a budget nor a file with budgets", hint=_HINT) from None
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not a text file: {error.reason}", hint=_HINT) from error
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}", hint=file_hint(error)) from error
