"""Memory, drift, and windows of what consumers recorded."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.client.routing.comparison import Difference
from tfs_deploy.client.routing.recorder import RequestRecorder, requests_dir
from tfs_deploy.codec import PredictReply, encode_predict_request
from tfs_deploy.errors import InvalidArgumentError, UnavailableError, UsageError
from tfs_deploy.rollout import Verdict, WindowSummary
from tfs_deploy.rollout.adapters.recorded_requests import RecordedRequests
from tfs_deploy.rollout.adapters.replay import MOST, Request, compare_labels, requests_at_hand, requests_in_file
from tfs_deploy.rollout.gates.drift import DriftGate
from tfs_deploy.rollout.gates.gate import StepView
from tfs_deploy.rollout.gates.memory import MemoryGate
from tfs_deploy.rollout.gates.request_stats import OutputComparison, Spread
from tfs_deploy.savedmodel.goldens import Golden, write_goldens
from tfs_deploy.savedmodel.warmup import write_warmup

PASS, FAIL, FEW = Verdict.PASS, Verdict.FAIL, Verdict.TOO_FEW
MB = 1 << 20


def view(memory=None, **compared: OutputComparison) -> StepView:
    canary = WindowSummary(compared=compared)
    return StepView("digits", 2, "canary", 5.0, canary, WindowSummary(), WindowSummary(), memory=memory)


@pytest.mark.parametrize(
    ("gate", "memory", "verdict"),
    [
        (MemoryGate(), None, FEW),
        (MemoryGate(), (400 * MB, 900 * MB), PASS),  # less than is worth a word
        (MemoryGate(), (400 * MB, 920 * MB), FAIL),
        (MemoryGate(), (2000 * MB, 2900 * MB), PASS),
        (MemoryGate(max_growth=0.2, tolerance=0), (400 * MB, 479 * MB), PASS),
        (MemoryGate(max_growth=0.2, tolerance=0), (400 * MB, 481 * MB), FAIL),
        (MemoryGate(max_growth=None, max_bytes=500 * MB), (100 * MB, 499 * MB), PASS),
        (MemoryGate(max_growth=None, max_bytes=500 * MB), (600 * MB, 501 * MB), FAIL),
    ],
)
def test_memory(gate, memory, verdict):
    assert gate.judge(view(memory)).verdict is verdict


SAME = OutputComparison(100, 0.0, 1.0)


@pytest.mark.parametrize(
    ("gate", "compared", "verdict", "reason"),
    [
        (DriftGate(), {}, FEW, "no answers of both versions to the same request"),
        (DriftGate(), {"y": SAME}, PASS, "100 answers compared, 'y' has distance 0, agreement 100.0%"),
        (DriftGate(), {"y": OutputComparison(9, 0.9, 0.0)}, PASS, ""),
        (DriftGate(), {"y": SAME, "z": OutputComparison(9, 0.0, 1.0, 1)}, FAIL, "output 'z': 1 values are NaN"),
        (
            DriftGate(max_distance=0.1),
            {"y": SAME, "z": OutputComparison(9, 0.2, 1.0)},
            FAIL,
            "output 'z': distance 0.2",
        ),
        (
            DriftGate(min_agreement=0.9),
            {"y": OutputComparison(9, 0.2, 0.89)},
            FAIL,
            "output 'y': agreement 89.0% with stable",
        ),
        (
            DriftGate(max_distance=0.1),
            {"y": OutputComparison(9, math.nan, 1.0)},
            FAIL,
            "output 'y': distance nan from stable",
        ),
        (
            DriftGate(min_agreement=0.9),
            {"y": OutputComparison(9, 0.0, math.nan)},
            FAIL,
            "output 'y': agreement nan% with",
        ),
        (
            DriftGate(min_samples=10),
            {"y": SAME, "z": OutputComparison(9, 0.0, 1.0)},
            FEW,
            "9 answers compared, 10 needed",
        ),
    ],
)
def test_drift_of_copies_that_consumers_compared(gate, compared, verdict, reason):
    judged = gate.judge(view(**compared))

    assert judged.verdict is verdict
    assert judged.reason.startswith(reason)


def test_without_copies_the_requests_at_hand_are_sent():
    asked = []

    def ask(stable: str, canary: str):
        asked.append((stable, canary))
        return {"y": SAME}

    gate = DriftGate(ask=ask)

    assert gate.judge(view()).verdict is PASS
    assert gate.judge(view(y=SAME)).verdict is PASS
    assert asked == [("stable", "canary")]


class Versions:
    """Stands for a client: canary answers twice as much, refuses what is negative, and has NaN for 13."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def predict(self, model, inputs, *, signature=None, label=None):
        x = inputs["x"]
        if self.error is not None:
            raise self.error
        if label == "canary":
            if (x < 0).any():
                raise InvalidArgumentError("negative")
            x = np.where(x == 13, np.nan, x * 2).astype(np.float32)
        elif (x == 99).any():
            raise InvalidArgumentError("99")
        return PredictReply({"y": x}, model=model, version=1)


def request(*values: float) -> Request:
    return Request(None, {"x": np.array(values, np.float32)})


def test_answers_of_both_labels_are_compared_and_averaged():
    requests = [request(1.0), request(13.0), request(-1.0), request(99.0)]

    found = compare_labels(Versions(), "digits", requests, "stable", "canary")

    assert found == {"y": OutputComparison(3, (1.0 + 0.0 + 1.0) / 3, 0.0, 1)}


def test_a_server_that_cannot_be_asked_gives_no_numbers():
    client = Versions()
    client.error = UnavailableError("refused")
    with pytest.raises(UnavailableError):
        compare_labels(client, "digits", [request(1.0)], "stable", "canary")


def test_requests_recorded_with_versions(tmp_path):
    x = np.array([1.0, 2.0], np.float32)
    for version in (1, 2):
        folder = tmp_path / str(version)
        folder.mkdir()
        write_goldens(folder, [Golden("serving_default", {"x": x}, {"y": x})])
        write_warmup(folder, [encode_predict_request("digits", {"x": x + version}, signature="other")])

    found = requests_at_hand(tmp_path, (1, 2, 3))

    assert [entry.signature for entry in found] == ["serving_default", "other"] * 2
    np.testing.assert_array_equal(found[3].inputs["x"], x + 2)
    warmup = tmp_path / "1" / "assets.extra" / "tf_serving_warmup_requests"
    assert [entry.signature for entry in requests_in_file(warmup)] == ["other"]


def test_requests_out_of_an_array_file_are_its_rows(tmp_path):
    np.savez(tmp_path / "requests.npz", x=np.arange(1000.0).reshape(500, 2), n=np.arange(500))

    found = requests_in_file(tmp_path / "requests.npz")

    assert len(found) == MOST
    assert found[3].inputs["x"].tolist() == [[6.0, 7.0]]
    assert found[3].inputs["n"].tolist() == [3]


@pytest.mark.parametrize("content", [b"", b"nonsense that is no record at all", b"PK\x03\x04 nonsense", None])
def test_a_file_without_requests_is_refused(tmp_path, content):
    file = tmp_path / "requests.npz"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match="holds no requests"):
        requests_in_file(file)


@pytest.fixture
def recorders(tmp_path):
    folder = requests_dir(tmp_path, "digits")
    return [RequestRecorder(folder, interval=60) for _ in range(2)]


def test_a_window_adds_up_what_all_consumers_recorded(tmp_path, recorders):
    recorded = RecordedRequests(tmp_path, "digits")
    assert not recorded.anybody()
    for number, recorder in enumerate(recorders):
        for _ in range(99):
            recorder.record("stable", 0.001 * (number + 1))
        recorder.record("canary", 0.1, error=True)
        recorder.outcome("canary", number)
        recorder.compare("canary", {"y": Difference(0.5, number, 1)})
        recorder.flush()

    window = recorded.window(0.0, float("inf"))

    stable, canary = window["stable"], window["canary"]
    assert (stable.requests, stable.errors) == (198, 0)
    assert stable.p50 == pytest.approx(0.001, rel=0.1)
    assert stable.p99 == pytest.approx(0.002, rel=0.1)
    assert stable.latency == Spread(198, pytest.approx(0.0015), pytest.approx(0.0005, rel=0.01))
    assert (canary.requests, canary.errors, canary.p99) == (2, 2, None)
    assert canary.outcomes == Spread(2, 0.5, pytest.approx(0.7071, rel=1e-3))
    assert canary.compared == {"y": OutputComparison(2, 0.5, 0.5, 2)}
    assert recorded.anybody()


def test_only_lines_of_the_window_count_and_each_is_read_once(tmp_path, recorders):
    now = 100.0
    recorder = RequestRecorder(requests_dir(tmp_path, "digits"), interval=60, clock=lambda: now)
    recorded = RecordedRequests(tmp_path, "digits")
    for _ in range(5):
        recorder.record("stable", 0.001)
        now += 1.0
        recorder.flush()
        recorded.window(0.0, 1.0)

    assert recorded.window(101.0, 103.0)["stable"].requests == 2
    assert recorded.window(99.0, 200.0)["stable"].requests == 5
    assert recorded.window(0.0, 99.0) == {}


def test_lines_of_another_machine_are_placed_by_the_wall_clock(tmp_path, recorders):
    folder = requests_dir(tmp_path, "digits")
    recorders[0].record("stable", 0.001)
    recorders[0].flush()
    file = next(folder.glob("*.jsonl"))
    line = json.loads(file.read_text())
    file.write_text(json.dumps({**line, "boot": "another", "mono": [5.0, 6.0], "at": 1000.0}) + "\n")
    recorded = RecordedRequests(tmp_path, "digits", now=lambda: 1010.0, mono=lambda: 50.0)

    assert recorded.window(39.0, 40.0)["stable"].requests == 1  # it was ten seconds ago
    assert recorded.window(40.0, 60.0) == {}


def test_half_a_line_is_read_when_it_is_whole(tmp_path, recorders):
    recorders[0].record("stable", 0.001)
    recorders[0].flush()
    file = next(requests_dir(tmp_path, "digits").glob("*.jsonl"))
    text = file.read_text()
    recorded = RecordedRequests(tmp_path, "digits")
    file.write_text(text[:40])
    assert recorded.window(0.0, float("inf")) == {}
    file.write_text(text)

    assert recorded.window(0.0, float("inf"))["stable"].requests == 1


@given(st.lists(st.floats(1e-5, 10.0), min_size=1, max_size=300))
def test_quantiles_of_a_histogram_are_near_those_of_the_numbers(tmp_path_factory, latencies):
    folder = tmp_path_factory.mktemp("recorded")
    recorder = RequestRecorder(requests_dir(folder, "digits"), interval=60)
    for latency in latencies:
        recorder.record("stable", latency)
    recorder.close()

    found = RecordedRequests(folder, "digits").window(0.0, float("inf"))["stable"]

    ordered = sorted(latencies)
    for value, share in ((found.p50, 0.5), (found.p99, 0.99)):
        exact = ordered[max(0, int(np.ceil(share * len(ordered))) - 1)]
        assert value == pytest.approx(exact, rel=0.1)


def test_a_summary_survives_json():
    summary = WindowSummary(10, 1, 0.1, 0.2, 0.3, 0.4, Spread(9, 0.1, 0.01), None, {"y": OutputComparison(1, 0.5, 1.0)})

    assert WindowSummary.from_dict(json.loads(json.dumps(summary.as_dict()))) == summary
    assert WindowSummary.from_dict({"requests": 1, "errors": 0}) == WindowSummary(1)
