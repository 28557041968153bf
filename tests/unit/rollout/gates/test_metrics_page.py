# SPDX-License-Identifier: Apache-2.0
"""The gate on the server's metrics page."""

from __future__ import annotations

import pytest

from tfs_deploy.errors import UnavailableError
from tfs_deploy.rollout import Verdict, WindowSummary
from tfs_deploy.rollout.gates.gate import StepView
from tfs_deploy.rollout.gates.metrics_page import Counters, MetricsPageGate

PASS, FAIL, FEW = Verdict.PASS, Verdict.FAIL, Verdict.TOO_FEW
STEP = StepView("digits", 2, "canary", 5.0, WindowSummary(50, 1), WindowSummary(950), WindowSummary(950), seconds=12.3)


def page(ok: int, internal: int = 0, slow: int = 0) -> str:
    total = ok + slow
    return f"""\
# TYPE :tensorflow:serving:request_count counter
:tensorflow:serving:request_count{{model_name="digits",status="OK"}} {total}
:tensorflow:serving:request_count{{model_name="digits",status="INTERNAL"}} {internal}
:tensorflow:serving:request_count{{model_name="other",status="INTERNAL"}} 1000000
# TYPE :tensorflow:serving:request_latency histogram
:tensorflow:serving:request_latency_bucket{{model_name="digits",API="predict",entrypoint="GRPC",le="1000"}} {ok}
:tensorflow:serving:request_latency_bucket{{model_name="digits",API="predict",entrypoint="GRPC",le="1800"}} {ok}
:tensorflow:serving:request_latency_bucket{{model_name="digits",API="predict",entrypoint="GRPC",le="+Inf"}} {total}
"""


def test_the_metrics_page_counts_from_the_beginning_of_the_step():
    pages = [page(1000, 500), page(1100, 500), page(1200, 500), page(1300, 503)]
    gate = MetricsPageGate("http://x", read=lambda _url: pages.pop(0))

    assert [gate.judge(STEP).verdict for _ in range(3)] == [FEW, PASS, PASS]
    judged = gate.judge(StepView("digits", 2, "canary", 25.0, WindowSummary(), WindowSummary(), WindowSummary()))

    assert (judged.verdict, judged.reason) == (FAIL, "3 of 103 requests failed, limit 1.0%")


def test_the_metrics_page_of_a_server_that_was_started_again_counts_from_nothing():
    pages = [page(1000, 500), page(40, 0)]
    gate = MetricsPageGate("http://x", read=lambda _url: pages.pop(0))
    gate.judge(STEP)

    assert gate.judge(STEP).reason == "0 of 40 requests failed"


def test_latencies_of_the_metrics_page():
    pages = [page(0), page(990), page(990, slow=20)]
    gate = MetricsPageGate("http://x", max_p99=0.001, read=lambda _url: pages.pop(0))
    gate.judge(STEP)

    assert gate.judge(STEP).verdict is PASS
    judged = gate.judge(STEP)
    assert (judged.verdict, judged.reason) == (FAIL, "0 of 1010 requests failed, p99 1.8 ms, limit 1.0 ms")


def test_the_p99_of_few_requests_on_the_metrics_page_is_not_judged():
    pages = [page(0), page(480, slow=19)]
    gate = MetricsPageGate("http://x", max_p99=0.001, read=lambda _url: pages.pop(0))
    gate.judge(STEP)

    judged = gate.judge(STEP)
    assert (judged.verdict, judged.reason) == (FEW, "not enough requests for p99 on the metrics page (499 of 500)")


def test_a_metrics_page_that_does_not_answer_is_too_few_samples():
    def unreachable(_url: str) -> str:
        raise UnavailableError("no route to host")

    assert MetricsPageGate("http://x", read=unreachable).judge(STEP).verdict is FEW


@pytest.mark.parametrize("count", ["NaN", "+Inf", "-3", "many"])
def test_a_metrics_page_with_what_no_counter_can_be_never_passes(count):
    pages = iter([page(100), page(1000).replace(" 1000", f" {count}")])
    gate = MetricsPageGate("http://x", read=lambda _url: next(pages))
    gate.judge(STEP)
    verdict = gate.judge(STEP)
    assert (verdict.verdict, verdict.reason) == (FEW, f"{count!r} on the metrics page is not a valid count")


def test_a_recorded_page_of_the_real_server_is_understood():
    text = """\
:tensorflow:serving:request_count{model_name="zoo",status="OK"} 12
:tensorflow:serving:request_count{model_name="zoo",status="INVALID_ARGUMENT"} 3
:tensorflow:serving:request_latency_bucket{model_name="zoo",API="predict",entrypoint="REST",le="10"} 0
:tensorflow:serving:request_latency_bucket{model_name="zoo",API="predict",entrypoint="REST",le="1.47476e+09"} 9
:tensorflow:serving:request_latency_bucket{model_name="zoo",API="predict",entrypoint="REST",le="+Inf"} 9
:tensorflow:serving:request_latency_sum{model_name="zoo",API="predict",entrypoint="REST"} 1234
"""
    counters = Counters.read(text, "zoo")

    assert (counters.requests, counters.errors) == (15, 3)
    assert max(counters.buckets) == float("inf")
