# SPDX-License-Identifier: Apache-2.0
"""Group ``load-test``: latency, throughput, memory and CPU under load, and their budgets.

A first window warms up the server and is dropped. More windows follow until they agree and hold enough requests for
the budgets, or the time is over; those of a baseline alternate with those of the candidate, so that both meet the same
load of the machine.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import TfsDeployError, UsageError
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE
from tfs_deploy.verify.checks import failed, passed, skipped
from tfs_deploy.verify.measure.load_generator import LoadWindow, send_load
from tfs_deploy.verify.measure.load_test_result import LoadTestResult
from tfs_deploy.verify.probing.prober import GRPC
from tfs_deploy.verify.staging import BASELINE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typing_extensions import Self

    from tfs_deploy.host.usage import Usage
    from tfs_deploy.launch.server import StartedServer
    from tfs_deploy.verify.checks import Checker, Judgement
    from tfs_deploy.verify.measure.budgets import Budget, OnTooFew
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.prober import Prober
    from tfs_deploy.verify.served_version import ServedVersion

_WARM_UP: Final = 0.25
_WINDOWS: Final = 4
#: windows agree if the medians of the last ones are this close to their mean
_SPREAD: Final = 0.15
_COMPARED: Final = 3
#: how many times the requested seconds the windows may take until they agree
_PATIENCE: Final = 3


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """A load test: its ``seconds``, ``callers`` at once or ``rate`` requests a second, and the budgets.

    ``on_too_few``: whether a budget of a quantile fails (``fail``) or is not judged (``skip``) where the longest load
    test had too few requests for it.
    """

    seconds: float
    callers: int = 4
    rate: float | None = None
    budgets: tuple[Budget, ...] = ()
    on_too_few: OnTooFew = "fail"

    @property
    def relative(self) -> bool:
        """Whether the baseline is measured too."""
        return any(budget.relative for budget in self.budgets)

    @property
    def text(self) -> str:
        """The load in words."""
        return f"{self.callers} callers" if self.rate is None else f"{self.rate:g} requests/s"


NO_LOAD: Final = LoadSettings(0.0)


def verify_under_load(version: ServedVersion, settings: LoadSettings) -> None:
    """Put the server under load, keep what was measured as evidence, and judge the budgets."""
    checker, prober = version.checker, version.prober
    if settings.seconds <= 0 or not checker.wants("load-test"):
        return
    case = load_case(prober, version.cases)
    if case is None:
        checker.record("load-test.errors", "", skipped("no signature answered an ordinary request"))
        return
    names = [prober.model, prober.model + BASELINE_SUFFIX] if settings.relative else [prober.model]
    what = f"{case.signature}, {settings.text}"
    results = _measure(version, case, settings, names)
    found, baseline = results[0], results[1] if settings.relative else None
    version.evidence.load_tests += results
    checker.record("load-test.errors", what, judge_errors(found, settings.budgets), found.seconds)
    checker.record("load-test.stable", what, judge_stable(found))
    for budget in settings.budgets:
        judged = budget.judge(found, baseline, on_too_few=settings.on_too_few)
        checker.record("load-test.budget", f"{what}, {budget.text}", judged)


def load_case(prober: Prober, cases: Mapping[str, Sequence[Case]]) -> Case | None:
    """Return the request to send: an answered one of the default signature if possible, recorded before made-up."""
    names = sorted(cases, key=lambda name: (name != DEFAULT_SIGNATURE, name))
    for name in names:
        answered = [case for case in cases[name] if case.ordinary and prober.probe(case, GRPC).ok]
        if answered:
            return min(answered, key=lambda case: case.golden is None)
    return None


def require_measurable(settings: LoadSettings, *, baseline: bool, own_server: bool) -> None:
    """Raise ``UsageError`` for a budget that this run cannot measure."""
    for budget in settings.budgets:
        if budget.relative and not (baseline and own_server):
            raise UsageError(
                f"'{budget.text}' is relative to a baseline, but no baseline is served",
                hint="give --baseline VERSION, and a target that is started for the verification",
            )
        if budget.metric in ("memory", "cpu") and (not own_server or settings.relative):
            where = "a server that runs elsewhere" if not own_server else "a server that also serves the baseline"
            raise UsageError(
                f"'{budget.text}' cannot be measured on {where}", hint="verify this budget in a run of its own"
            )


def judge_errors(measured: LoadTestResult, budgets: Sequence[Budget]) -> Judgement:
    """Judge failed requests: none may fail, unless a budget allows some."""
    if measured.errors and not any(budget.metric == "errors" for budget in budgets):
        sent = measured.errors + len(measured.latencies)
        return failed(
            f"{measured.errors} of {sent} requests failed: {measured.last_error}", float(measured.errors), "errors"
        )
    return passed(f"{len(measured.latencies)} answers, {measured.throughput:.0f} a second", measured.throughput, "/s")


def judge_stable(measured: LoadTestResult) -> Judgement:
    """Judge whether the windows agreed; where not, that is skipped: the machine may be the cause."""
    count = len(measured.windows)
    if measured.stable:
        return passed(f"the medians of the last {_COMPARED} of {count} windows agree", float(count), "windows")
    shown = ", ".join(f"{1000 * window:.1f}" for window in measured.windows[-_COMPARED:])
    return skipped(f"the medians of {count} windows did not settle (the last: {shown} ms)")


def is_stable(medians: Sequence[float]) -> bool:
    """Return whether the last windows agree."""
    last = medians[-_COMPARED:]
    mean = sum(last) / len(last) if last else 0.0
    return len(last) == _COMPARED and all(abs(each - mean) <= _SPREAD * mean for each in last)


def is_settled(windows: Sequence[LoadWindow], budgets: Sequence[Budget]) -> bool:
    """Return whether the windows agree and hold enough requests for each budget."""
    answered = sum(len(each.latencies) for each in windows)
    return is_stable(_medians(windows)) and all(answered >= budget.needs for budget in budgets)


def _measure(version: ServedVersion, case: Case, settings: LoadSettings, names: Sequence[str]) -> list[LoadTestResult]:
    """Alternate load between ``names``, a model and its baseline; return the result of each."""
    sends = [_sender(version.prober, case, name) for name in names]
    window = settings.seconds / _WINDOWS
    windows: list[list[LoadWindow]] = [[] for _ in names]
    how = {"callers": settings.callers, "rate": settings.rate}
    for send in sends:
        send_load(send, max(settings.seconds * _WARM_UP, 0.2), **how)  # type: ignore[arg-type]
    # the usage of a server that serves both versions belongs to neither
    with _UsageSampler(None if len(names) > 1 else version.endpoint.server) as usage:
        while len(windows[0]) < _WINDOWS * _PATIENCE:
            for send, own in zip(sends, windows, strict=True):
                own.append(send_load(send, window, **how))  # type: ignore[arg-type]
            if len(windows[0]) >= _WINDOWS and all(is_settled(own, settings.budgets) for own in windows):
                break
    return [
        _summary(version.checker, f"{case.signature}, {settings.text}" + (", baseline" if number else ""), own, usage)
        for number, own in enumerate(windows)
    ]


def _sender(prober: Prober, case: Case, name: str) -> Callable[[], object]:
    version = prober.version if name == prober.model else None

    def send() -> object:
        return prober.grpc.predict(name, case.inputs, signature=case.signature, version=version)

    return send


def _summary(checker: Checker, what: str, windows: Sequence[LoadWindow], usage: _UsageSampler) -> LoadTestResult:
    medians = _medians(windows)
    return LoadTestResult(
        model=checker.model,
        target=checker.target,
        what=what,
        latencies=tuple(sorted(latency for each in windows for latency in each.latencies)),
        errors=sum(each.errors for each in windows),
        seconds=sum(each.seconds for each in windows),
        memory=usage.memory,
        cpu=usage.cpu,
        windows=tuple(medians),
        stable=is_stable(medians),
        last_error=next((each.last_error for each in reversed(windows) if each.last_error), ""),
    )


def _medians(windows: Sequence[LoadWindow]) -> list[float]:
    return [sorted(each.latencies)[len(each.latencies) // 2] for each in windows if each.latencies]


class _UsageSampler:
    """Samples the usage of a server's process while the context lasts."""

    def __init__(self, server: StartedServer | None) -> None:
        self._server = server
        self._done = threading.Event()
        self._seen: list[Usage] = []
        self._thread = threading.Thread(target=self._sample, name="usage", daemon=True)

    @property
    def memory(self) -> int | None:
        """The peak memory in bytes; ``None`` without a sample."""
        return max((usage.memory for usage in self._seen), default=None)

    @property
    def cpu(self) -> float | None:
        """The average CPU usage in CPUs; ``None`` without a sample."""
        return sum(usage.cpu for usage in self._seen) / len(self._seen) if self._seen else None

    def __enter__(self) -> Self:
        if self._server is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._server is not None:
            self._thread.join()

    def _sample(self) -> None:
        with contextlib.suppress(TfsDeployError):  # the server ended: ``load.survived`` reports it
            while self._server is not None and not self._done.is_set():
                self._seen.append(self._server.usage())
