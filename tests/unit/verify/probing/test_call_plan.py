# SPDX-License-Identifier: Apache-2.0
"""How many requests are sent, by what one row costs."""

from __future__ import annotations

import numpy as np
import pytest

from tfs_deploy.errors import InternalError
from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.savedmodel.goldens import Golden
from tfs_deploy.verify.probing.call_plan import BUDGET, LEVELS, measured_cost, plan_calls
from tfs_deploy.verify.probing.cases import Case, made_up_cases
from tfs_deploy.verify.probing.prober import Answer, Prober

X = SignatureInfo("s", PREDICT_METHOD, {"x": TensorSpec("x", "float32", (None,))})
CASES = made_up_cases(X)
RECORDED = [Case("s", f"recorded #{number}", {"x": np.ones(2)}, 2, golden=Golden("s", {}, {})) for number in range(3)]


def test_a_quick_model_is_sent_everything() -> None:
    plan = plan_calls(0.01, CASES, 2)
    assert plan.kept(CASES) == CASES
    assert (plan.repeats, plan.alone, plan.everywhere) == (2, 3, True)
    assert plan.rows(CASES, 2) == 7 * 3 + 2 * 3 + 3 + 1


def test_a_costly_model_is_sent_what_proves_most() -> None:
    """A second for a row: the first request over both transports and locally, the widest one over gRPC."""
    plan = plan_calls(1.1, CASES, 2)
    assert [case.name for case in plan.kept(CASES)] == ["ones", "3 rows"]
    assert [case.name for case in plan.everywhere_of(plan.kept(CASES))] == ["ones"]
    assert plan.rows(CASES, 2) == 4 + 2 + 1 + 1 + 1
    assert "1.1 s" in plan.why


@pytest.mark.parametrize("cost", [0.0, 0.1, 0.25, 0.3, 0.6, 2.0])
def test_the_most_thorough_plan_that_fits_is_taken(cost: float) -> None:
    plan = plan_calls(cost, CASES, 2)
    level = next(each for each in LEVELS if each.repeats == plan.repeats and each.everywhere == plan.everywhere)
    better = LEVELS[: LEVELS.index(level)]
    assert all(each.rows(CASES, 2) * cost > BUDGET for each in better)
    assert plan.rows(CASES, 2) * cost <= BUDGET or level is LEVELS[-1]


def test_recorded_requests_are_always_sent() -> None:
    assert plan_calls(100, RECORDED, 2).kept(RECORDED) == RECORDED


class Slow:
    """A stand-in for a prober, with the seconds of its answers."""

    def __init__(self, *seconds: float, error: InternalError | None = None) -> None:
        self.seconds = list(seconds)
        self.error = error
        self.timeout, self.first_timeout = 10.0, 30.0
        self.hanging = False
        self.answers: dict[tuple[str, str, str], Answer] = {}
        self.patience = 0.0

    def probe(self, case: Case, transport: str, *, timeout: float) -> Answer:
        self.patience = timeout
        return Answer(error=self.error, seconds=self.seconds.pop(0))

    def hangs(self, signature: str, transport: str) -> bool:
        return self.hanging

    def repeat(self, case: Case) -> Answer:
        return Answer(error=self.error, seconds=self.seconds.pop(0))


@pytest.mark.parametrize(
    ("seconds", "cost"),
    [
        ((0.1,), 0.1),
        ((3.0, 1.1), 1.1),  # the first call optimises the graph
        ((0.3, 0.4), 0.3),
    ],
)
def test_the_first_call_is_no_measure_if_it_is_slow(seconds: tuple[float, ...], cost: float) -> None:
    prober = Slow(*seconds)
    assert measured_cost(prober, CASES) == cost  # type: ignore[arg-type]
    assert prober.seconds == []


@pytest.mark.parametrize(("local", "patience"), [(0.1, 10.0), (8.0, 24.0)])
def test_a_first_call_may_take_longer_where_the_local_model_needed_long(local: float, patience: float) -> None:
    prober = Slow(0.1)
    prober.answers["s", CASES[0].name, "local"] = Answer(seconds=local)
    measured_cost(prober, CASES)  # type: ignore[arg-type]
    assert prober.patience == patience


@pytest.mark.parametrize(("hanging", "patience"), [(False, 30.0), (True, 10.0)])
def test_a_first_call_of_unknown_cost_gets_time_unless_the_model_hangs(hanging: bool, patience: float) -> None:
    prober = Slow(0.1)
    prober.hanging = hanging
    measured_cost(prober, CASES)  # type: ignore[arg-type]
    assert prober.patience == patience


def test_a_refused_request_costs_nothing() -> None:
    assert measured_cost(Slow(5.0, error=InternalError("no")), CASES) == 0  # type: ignore[arg-type]
    assert measured_cost(Slow(), []) == 0  # type: ignore[arg-type]


class Local:
    """A stand-in for the local model that notes what it is asked."""

    failure = ""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ready(self) -> bool:
        return True

    def predict(self, signature: str, inputs, *, timeout: float):
        self.asked.append(signature)
        return {"y": np.ones(1)}


def test_the_local_model_is_asked_beside_the_server_and_once() -> None:
    local = Local()
    prober = Prober("m", 1, grpc=None, rest=None, local=local, timeout=5.0)  # type: ignore[arg-type]
    prober.begin_local(CASES)
    answers = [prober.probe(case, "local") for case in CASES]
    prober.begin_local(CASES)
    prober.close()
    assert all(answer.ok for answer in answers)
    assert len(local.asked) == len(CASES)
