# SPDX-License-Identifier: Apache-2.0
"""A model on disk that is right, and servers in its place that are wrong in one thing each."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from support.live import free_port
from tfs_deploy.errors import EnvironmentFault, InternalError
from tfs_deploy.server.testing import function_model, serve_models
from tfs_deploy.verify.checks import CheckStatus
from tfs_deploy.verify.groups.load_test import LoadSettings
from tfs_deploy.verify.measure.budgets import Budget
from tfs_deploy.verify.run import VerificationPlan, verify
from tfs_deploy.verify.serving import verification_targets
from tfs_deploy.verify.subjects import Subject

MODEL = Path(__file__).parents[2] / "data/verify/plain/1"
SPECS = {"inputs": {"x": "float32"}, "outputs": {"y": "float32"}}


def right(x):
    return {"y": x / 2 + 2}


def counting() -> Callable:
    numbers = itertools.count()
    return lambda x: {"y": x / 2 + 2 + next(numbers)}


def broken_by_a_matrix() -> Callable:
    """Answers everybody differently once somebody sent a matrix."""
    state = {"harm": 0.0}

    def answer(x):
        if x.ndim > 1:
            state["harm"] = 1.0
        return {"y": x / 2 + 2 + state["harm"]}

    return answer


def raising(x):
    if x.ndim > 1:
        raise RuntimeError("a matrix")
    return right(x)


def internal(x):
    raise InternalError("out of order")


def sleeping(x):
    time.sleep(4)
    return right(x)


WRONG = {
    "internal": (internal, "smoke.made-up", "out of order"),
    "late": (sleeping, "smoke.made-up", "within 2 s"),
    "shape": (lambda x: {"y": np.ones((len(x), 2), np.float32)}, "smoke.made-up", "shape [1, 2]"),
    "at random": (counting(), "behaviour.deterministic", "the second answer differs"),
    "mixed rows": (lambda x: {"y": x / 2 + 2 - x.mean()}, "behaviour.batch", "row 0 alone"),
    "NaN": (lambda x: {"y": x * np.nan}, "behaviour.finite", "NaN"),
    "another function": (lambda x: {"y": x / 2 + 3}, "parity.local-grpc", "3.5 instead of 2.5"),
    "matrix": (raising, "refusals.shape", "UNKNOWN"),
    "harmed": (broken_by_a_matrix(), "refusals.unharmed", "answered differently"),
}


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    stack = []

    def start(functions, **specs) -> str:
        models = functions if isinstance(functions, dict) else {1: function_model(functions, **(specs or SPECS))}
        running = serve_models({"plain": models})
        stack.append(running)
        server = running.__enter__()
        assert server.rest_url is not None
        return f"{server.grpc_address}/{server.rest_url.rpartition(':')[2]}"

    yield start
    for running in stack:
        running.__exit__(None, None, None)


def verified(address: str, **options):
    subject = Subject("plain", 1, MODEL)
    return verify(
        VerificationPlan((subject,), tuple(verification_targets(address, (), None)), **{"timeout": 5.0, **options})
    )


@pytest.mark.parametrize("kind", WRONG)
def test_the_right_check_says_no_for_the_right_reason(kind, serve):
    function, identity, reason = WRONG[kind]
    # only what is compared with the model in this process needs one
    excluded_checks = frozenset() if identity.startswith("parity") else frozenset({"parity"})
    # of a server that is late, all but one request has this time on any machine
    timeout = 2.0 if kind == "late" else 5.0
    verification = verified(serve(function), excluded_checks=excluded_checks, timeout=timeout)
    assert not verification.ok
    first = verification.first_failed
    assert (first.id, reason in first.reason) == (identity, True), str(first)


def test_a_server_that_is_right_passes(serve):
    verification = verified(serve(right))
    assert [str(check) for check in verification.failed] == []
    assert verification.ok
    assert {check.group for check in verification.checks} >= {"files", "load", "smoke", "parity", "behaviour"}


def test_an_output_of_one_value_for_the_whole_batch_is_no_row_of_an_empty_one(serve):
    specs = {"inputs": {"x": "float32"}, "outputs": {"y": "float32", "classes": "int64"}}
    address = serve(lambda x: {**right(x), "classes": np.array([7])}, **specs)
    verification = verified(address, excluded_checks=frozenset({"parity", "load", "refusals"}))
    assert [str(check) for check in verification.failed] == []
    assert "smoke.empty-batch" in {check.id for check in verification.checks if check.status is CheckStatus.PASSED}


def test_rest_that_leads_to_another_model_is_found(serve):
    grpc = serve(right).partition("/")[0]
    rest = serve(lambda x: {"y": x / 2 + 4}).rpartition("/")[2]
    first = verified(f"{grpc}/{rest}").first_failed
    assert (first.id, "rest does not answer as grpc" in first.reason) == ("parity.grpc-rest", True), str(first)


def test_a_rest_port_that_nobody_listens_on_is_a_wrong_address_and_no_fault_of_the_model(serve):
    grpc = serve(right).partition("/")[0]
    for port in (free_port(), int(grpc.rpartition(":")[2])):
        with pytest.raises(EnvironmentFault, match="the REST API does not answer") as caught:
            verified(f"{grpc}/{port}", excluded_checks=frozenset({"parity"}))
        assert "/RESTPORT" in (caught.value.hint or "")


def test_a_server_of_another_version_is_found(serve):
    first = verified(serve({2: function_model(right, **SPECS)}), excluded_checks=frozenset({"parity"})).first_failed
    assert (first.id, "does not serve version 1" in first.reason) == ("load.served", True), str(first)


def test_a_server_with_other_signatures_is_found(serve):
    address = serve(lambda v: {"y": v}, inputs={"v": "float32"}, outputs={"y": "float32"})
    first = verified(address, excluded_checks=frozenset({"parity"})).first_failed
    assert (first.id, "input 'v'" in first.reason) == ("load.signatures", True), str(first)


def test_requests_that_fail_under_load_are_counted(serve):
    numbers = itertools.count()

    def now_and_then(x):
        # late enough that only the load test meets it
        if (number := next(numbers)) > 40 and number % 10 == 0:
            raise InternalError("now and then")
        return right(x)

    excluded_checks = frozenset({"parity", "refusals"})
    verification = verified(serve(now_and_then), excluded_checks=excluded_checks, load=LoadSettings(0.6))
    first = verification.first_failed
    assert (first.id, "now and then" in first.reason) == ("load-test.errors", True), str(first)


def test_a_budget_is_judged_by_what_was_measured(serve):
    def slow(x):
        time.sleep(0.03)
        return right(x)

    budgets = (Budget.parse("p50 < 10ms"), Budget.parse("p50 < 10s"), Budget.parse("throughput > 5/s"))
    excluded_checks = frozenset({"parity", "refusals"})
    verification = verified(serve(slow), excluded_checks=excluded_checks, load=LoadSettings(0.6, budgets=budgets))
    judged = {check.about: check.status for check in verification.checks if check.id == "load-test.budget"}
    assert list(judged.values()) == [CheckStatus.FAILED, CheckStatus.PASSED, CheckStatus.PASSED]
    assert verification.evidence.load_tests[0].percentile(50) > 0.03


def test_an_open_loop_charges_a_stall_to_the_requests_it_kept_waiting(serve):
    numbers = itertools.count()

    def stalling(x):
        if next(numbers) == 80:
            time.sleep(0.4)
        return right(x)

    settings = LoadSettings(1.0, rate=200.0)
    verification = verified(
        serve(stalling), excluded_checks=frozenset({"parity", "refusals", "behaviour"}), load=settings
    )
    (measured,) = verification.evidence.load_tests
    assert measured.errors == 0
    assert measured.latencies[-1] > 0.3
