"""Group ``load-test``: latency, throughput, memory and processor under load, and the budgets for them.

A first burst warms up and is thrown away. Then windows follow until they agree or the patience is over; with a
baseline its windows take turns with those of the candidate, so that both meet the same machine.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.errors import TfsDeployError, UsageError
from tfs_deploy.protos.signatures import DEFAULT_SIGNATURE
from tfs_deploy.verify.checks import failed, passed, skipped
from tfs_deploy.verify.measure.load import Burst, burst
from tfs_deploy.verify.measure.measurements import Measured
from tfs_deploy.verify.probing.prober import GRPC
from tfs_deploy.verify.staging import BASELINE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from typing_extensions import Self

    from tfs_deploy.host.usage import Usage
    from tfs_deploy.launch.server import Server
    from tfs_deploy.verify.checks import Examiner, Judgement
    from tfs_deploy.verify.measure.budgets import Budget
    from tfs_deploy.verify.probing.cases import Case
    from tfs_deploy.verify.probing.prober import Asker

_WARM_UP: Final = 0.25
_WINDOWS: Final = 4
#: windows agree if the medians of the last three are this close to their mean
_SPREAD: Final = 0.15
_COMPARED: Final = 3
#: how many times the stated time windows may take until they agree
_PATIENCE: Final = 3


@dataclass(frozen=True, slots=True)
class LoadSettings:
    """How a load test goes: measured ``seconds``, ``callers`` at once or ``rate`` requests a second, and budgets."""

    seconds: float
    callers: int = 4
    rate: float | None = None
    budgets: tuple[Budget, ...] = ()

    @property
    def relative(self) -> bool:
        """Whether the baseline is measured as well."""
        return any(budget.relative for budget in self.budgets)

    @property
    def text(self) -> str:
        """Say what load it is."""
        return f"{self.callers} callers" if self.rate is None else f"{self.rate:g} requests/s"


NO_LOAD: Final = LoadSettings(0.0)


def examine_performance(
    examiner: Examiner,
    asker: Asker,
    cases: Mapping[str, Sequence[Case]],
    settings: LoadSettings,
    server: Server | None,
    measured: list[Measured],
) -> None:
    """Load the server, report what it did, and judge the budgets."""
    if settings.seconds <= 0 or not examiner.wants("load-test"):
        return
    case = load_case(asker, cases)
    if case is None:
        examiner.tell("load-test.errors", "", skipped("no signature answers what could be sent"))
        return
    names = {"": asker.model} | ({BASELINE_SUFFIX: asker.model + BASELINE_SUFFIX} if settings.relative else {})
    what = f"{case.signature}, {settings.text}"
    found, baseline = (*_measure(examiner, asker, case, settings, server, list(names.values())), None)[:2]
    if found is None:
        return
    measured.append(found)
    if baseline is not None:
        measured.append(baseline)
    examiner.tell("load-test.errors", what, judge_errors(found, settings.budgets), found.seconds)
    examiner.tell("load-test.stable", what, judge_stable(found))
    for budget in settings.budgets:
        examiner.tell("load-test.budget", f"{what}, {budget.text}", budget.judge(found, baseline))


def load_case(asker: Asker, cases: Mapping[str, Sequence[Case]]) -> Case | None:
    """Choose what is sent: a request of the default signature that was answered, a recorded one before made-up ones."""
    names = sorted(cases, key=lambda name: (name != DEFAULT_SIGNATURE, name))
    for name in names:
        answered = [case for case in cases[name] if case.ordinary and asker.ask(case, GRPC).ok]
        if answered:
            return min(answered, key=lambda case: case.golden is None)
    return None


def require_possible(settings: LoadSettings, *, baseline: bool, own_server: bool) -> None:
    """Raise ``UsageError`` for a budget that this run cannot measure."""
    for budget in settings.budgets:
        if budget.relative and not (baseline and own_server):
            raise UsageError(
                f"'{budget.text}' is relative to a baseline, and none is served beside it",
                hint="--baseline VERSION, and a target that is started for the verification",
            )
        if budget.metric in ("memory", "cpu") and (not own_server or settings.relative):
            where = "a server that runs elsewhere" if not own_server else "a server that has the baseline too"
            raise UsageError(
                f"'{budget.text}' cannot be told of {where}", hint="verify that budget in a run of its own"
            )


def judge_errors(measured: Measured, budgets: Sequence[Budget]) -> Judgement:
    """Judge failed requests: none may fail, unless a budget says how many."""
    if measured.errors and not any(budget.metric == "errors" for budget in budgets):
        asked = measured.errors + len(measured.latencies)
        return failed(
            f"{measured.errors} of {asked} requests failed: {measured.last_error}", float(measured.errors), "errors"
        )
    return passed(f"{len(measured.latencies)} answers, {measured.throughput:.0f} a second", measured.throughput, "/s")


def judge_stable(measured: Measured) -> Judgement:
    """Say whether the windows agreed; that they did not is the machine's fault as often as the model's."""
    count = len(measured.windows)
    if measured.stable:
        return passed(f"the medians of the last {_COMPARED} of {count} windows agree", float(count), "windows")
    shown = ", ".join(f"{1000 * window:.1f}" for window in measured.windows[-_COMPARED:])
    return skipped(f"the medians of {count} windows did not come to rest (the last: {shown} ms)")


def is_stable(medians: Sequence[float]) -> bool:
    """Whether the last windows agree with each other."""
    last = medians[-_COMPARED:]
    mean = sum(last) / len(last) if last else 0.0
    return len(last) == _COMPARED and all(abs(each - mean) <= _SPREAD * mean for each in last)


def _measure(
    examiner: Examiner, asker: Asker, case: Case, settings: LoadSettings, server: Server | None, names: Sequence[str]
) -> list[Measured]:
    """Send load in turn to each of ``names``, a model and its baseline; return what each did."""
    sends = [_sender(asker, case, name) for name in names]
    window = settings.seconds / _WINDOWS
    bursts: list[list[Burst]] = [[] for _ in names]
    how = {"callers": settings.callers, "rate": settings.rate}
    for send in sends:
        burst(send, max(settings.seconds * _WARM_UP, 0.2), **how)  # type: ignore[arg-type]
    # what one server uses for both versions is said of neither
    with _Watch(None if len(names) > 1 else server) as watch:
        while len(bursts[0]) < _WINDOWS * _PATIENCE:
            for send, own in zip(sends, bursts, strict=True):
                own.append(burst(send, window, **how))  # type: ignore[arg-type]
            if len(bursts[0]) >= _WINDOWS and all(is_stable(_medians(own)) for own in bursts):
                break
    return [
        _measured(examiner, f"{case.signature}, {settings.text}" + (", baseline" if number else ""), own, watch)
        for number, own in enumerate(bursts)
    ]


def _sender(asker: Asker, case: Case, name: str) -> Callable[[], object]:
    version = asker.version if name == asker.model else None

    def send() -> object:
        return asker.grpc.predict(name, case.inputs, signature=case.signature, version=version)

    return send


def _measured(examiner: Examiner, what: str, bursts: Sequence[Burst], watch: _Watch) -> Measured:
    medians = _medians(bursts)
    return Measured(
        *(examiner.model, examiner.target, what),
        latencies=tuple(sorted(latency for each in bursts for latency in each.latencies)),
        errors=sum(each.errors for each in bursts),
        seconds=sum(each.seconds for each in bursts),
        memory=watch.memory,
        cpu=watch.cpu,
        windows=tuple(medians),
        stable=is_stable(medians),
        last_error=next((each.last_error for each in reversed(bursts) if each.last_error), ""),
    )


def _medians(bursts: Sequence[Burst]) -> list[float]:
    return [sorted(each.latencies)[len(each.latencies) // 2] for each in bursts if each.latencies]


class _Watch:
    """Looks at a server's process while it works."""

    def __init__(self, server: Server | None) -> None:
        self._server = server
        self._done = threading.Event()
        self._seen: list[Usage] = []
        self._thread = threading.Thread(target=self._look, name="usage", daemon=True)

    @property
    def memory(self) -> int | None:
        """The most that it had, in bytes."""
        return max((usage.memory for usage in self._seen), default=None)

    @property
    def cpu(self) -> float | None:
        """What it used on average, in CPUs."""
        return sum(usage.cpu for usage in self._seen) / len(self._seen) if self._seen else None

    def __enter__(self) -> Self:
        if self._server is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._server is not None:
            self._thread.join()

    def _look(self) -> None:
        with contextlib.suppress(TfsDeployError):  # it ended: the checks say so
            while self._server is not None and not self._done.is_set():
                self._seen.append(self._server.usage())
