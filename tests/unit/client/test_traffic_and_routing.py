"""The split over labels: stable, monotonic, read from a file that changes, and what happens when a label is gone."""

from __future__ import annotations

import asyncio
import json
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from live import until
from tfs_deploy.client import AsyncRouter, Router, write_traffic
from tfs_deploy.client.routing.splitting import choose, position
from tfs_deploy.codec import PredictReply
from tfs_deploy.errors import EnvironmentFault, InvalidArgumentError, NotFoundError, UnavailableError, UsageError

KEYS = [f"user-{number}" for number in range(200_000)]


@pytest.fixture(scope="module")
def points():
    return [position(key, "digits") for key in KEYS]


@pytest.mark.parametrize(
    "weights", [{"stable": 95, "canary": 5}, {"stable": 50, "canary": 50}, {"a": 1, "b": 2, "c": 7}]
)
def test_the_split_is_within_half_a_point(points, weights):
    total = sum(weights.values())
    counts = dict.fromkeys(weights, 0)
    for point in points:
        counts[choose(weights, point)] += 1
    for label, weight in weights.items():
        assert abs(counts[label] / len(points) - weight / total) < 0.005


def test_a_growing_canary_only_takes_keys_from_stable(points):
    before = [choose({"stable": 90, "canary": 10}, point) for point in points]
    after = [choose({"stable": 80, "canary": 20}, point) for point in points]
    moved = {(old, new) for old, new in zip(before, after, strict=True) if old != new}
    assert moved == {("stable", "canary")}


@pytest.mark.parametrize("grown", ["beta", "canary"])
def test_of_two_candidates_each_grows_alone(points, grown):
    weights = {"beta": 10, "canary": 15, "stable": 75}
    wider = {**weights, grown: weights[grown] + 20, "stable": 55}
    moved = [(choose(weights, point), choose(wider, point)) for point in points]
    assert {(old, new) for old, new in moved if old != new} == {("stable", grown)}
    assert abs(sum(old != new for old, new in moved) / len(points) - 0.2) < 0.005


def test_a_candidate_that_is_switched_off_moves_no_key_of_the_other(points):
    some = points[:20_000]
    before = [choose({"beta": 10, "canary": 15, "stable": 75}, point) for point in some]
    after = [choose({"beta": 0, "canary": 15, "stable": 85}, point) for point in some]
    assert {(old, new) for old, new in zip(before, after, strict=True) if old != new} == {("beta", "stable")}


@given(
    canary=st.integers(0, 100), more=st.integers(0, 100), key=st.text() | st.binary() | st.integers(), salt=st.text()
)
def test_monotonic_for_every_key(canary, more, key, salt):
    low, high = sorted((canary, more))
    point = position(key, salt)
    assert 0 <= point < 1
    if choose({"canary": low, "stable": 100 - low}, point) == "canary":
        assert choose({"stable": 100 - high, "canary": high}, point) == "canary"


def test_positions_never_change():
    """Consumers on other machines, and of other releases, have to agree."""
    assert position("user-1", "digits") == pytest.approx(0.9498916846547261, abs=1e-15)
    assert position("user-1", "other") != position("user-1", "digits")
    assert position(7) == position("7") == position(b"7")


def test_labels_without_weight_are_never_chosen():
    assert choose({"canary": 0, "stable": 100}, 0.0) == "stable"
    assert choose({"canary": 100, "stable": 0}, 1 - 2**-53) == "canary"
    assert choose({"a": 0.1, "b": 0.2}, 1 - 2**-53) == "b"
    with pytest.raises(UsageError, match="no label gets any traffic"):
        choose({"canary": 0}, 0.5)


class Labels:
    """Stands for a client: answers for the labels it knows, otherwise as the server does."""

    def __init__(self, *known):
        self.known = set(known)
        self.asked = []
        self.error = None

    def predict(self, model, inputs, *, signature=None, label=None, version=None, output_filter=(), timeout=None):
        self.asked.append(label)
        if self.error is not None and label != "stable":
            raise self.error
        if label not in self.known:
            raise InvalidArgumentError(f"Unrecognized servable version label: {label}")
        return PredictReply({}, model=model, version=1, signature=signature or "serving_default")


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "traffic.json"


def test_without_a_file_everything_goes_to_stable(path, clock):
    router = Router(Labels("stable"), "digits", path, clock=clock)
    assert {router.choose(key) for key in KEYS[:100]} == {"stable"}
    assert router.weights == {"stable": 100.0}


def test_the_file_is_followed(path, clock):
    write_traffic(path, "digits", {"stable": 100, "canary": 0})
    router = Router(Labels("stable", "canary"), "digits", path, clock=clock)
    assert router.choose("user-1") == "stable"
    write_traffic(path, "digits", {"stable": 0, "canary": 100})
    assert router.choose("user-1") == "stable"
    clock.now += 0.21
    assert router.choose("user-1") == "canary"
    path.unlink()
    clock.now += 0.21
    assert router.choose("user-1") == "stable"


def test_a_file_that_breaks_keeps_the_split_and_says_so(path, clock, caplog):
    write_traffic(path, "digits", {"stable": 0, "canary": 100})
    router = Router(Labels("canary"), "digits", path, clock=clock)
    path.write_text("{")
    clock.now += 1
    with caplog.at_level(logging.WARNING):
        assert router.choose() == "canary"
        clock.now += 1
        assert router.choose() == "canary"
    assert len(caplog.records) == 1
    assert "the split stays {'canary': 100.0, 'stable': 0.0}" in caplog.text
    with pytest.raises(EnvironmentFault):
        Router(Labels("canary"), "digits", path)


def test_keys_stick_and_chance_follows_the_weights(path, clock):
    write_traffic(path, "digits", {"stable": 50, "canary": 50})
    router = Router(Labels("stable", "canary"), "digits", path, clock=clock)
    assert len({router.choose("user-1") for _ in range(20)}) == 1
    assert {router.choose() for _ in range(200)} == {"stable", "canary"}


@pytest.mark.parametrize(
    "error",
    [
        InvalidArgumentError("Unrecognized servable version label: canary"),
        NotFoundError("Servable not found for request: Specific(digits, 2)"),
    ],
)
def test_stable_answers_when_the_canary_is_gone(path, clock, error, caplog):
    write_traffic(path, "digits", {"stable": 0, "canary": 100})
    client = Labels("stable")
    client.error = error
    router = Router(client, "digits", path, clock=clock)
    with caplog.at_level(logging.WARNING):
        assert router.predict({}, key="a", signature="s").signature == "s"
    assert client.asked == ["canary", "stable"]
    assert router.fallbacks == 1
    assert "label canary is gone" in caplog.text


@pytest.mark.parametrize("kind", [Router, AsyncRouter])
def test_both_attempts_share_one_deadline(monkeypatch, kind):
    now = [0.0]
    monkeypatch.setattr("tfs_deploy.client.routing.router.time.monotonic", lambda: now[0])
    asked = []

    class Slow:
        def predict(self, model, inputs, *, timeout=None, label=None, **_):
            asked.append((label, timeout))
            now[0] += 3.0
            if label == "canary":
                raise NotFoundError("gone")
            reply = PredictReply({}, model=model)
            return reply if kind is Router else asyncio.sleep(0, reply)

    router = kind(Slow(), "digits", weights={"stable": 0, "canary": 1})

    def predict(timeout):
        reply = router.predict({}, timeout=timeout)
        return reply if kind is Router else asyncio.run(reply)

    predict(5.0)
    predict(None)
    assert asked == [("canary", 5.0), ("stable", 2.0), ("canary", None), ("stable", None)]
    with pytest.raises(NotFoundError):
        predict(3.0)


@pytest.mark.parametrize("error", [InvalidArgumentError("bad shapes"), UnavailableError("down")])
def test_other_errors_are_the_callers(path, clock, error):
    write_traffic(path, "digits", {"stable": 0, "canary": 100})
    client = Labels("stable")
    client.error = error
    with pytest.raises(type(error)):
        Router(client, "digits", path, clock=clock).predict({})
    assert client.asked == ["canary"]


def test_a_label_chosen_beforehand_is_used(path, clock):
    client = Labels("stable", "canary")
    Router(client, "digits", path, clock=clock).predict({}, label="canary")
    assert client.asked == ["canary"]


class Versions(Labels):
    """Answers for the versions it knows."""

    def predict(self, model, inputs, *, signature=None, label=None, version=None, output_filter=(), timeout=None):
        self.asked.append(version if label is None else label)
        if version not in self.known:
            raise NotFoundError(f"Servable not found for request: Specific({model}, {version})")
        return PredictReply({"y": np.float32([version])}, model=model, version=version, signature="s")


def test_weights_from_code_split_over_labels():
    client = Labels("stable", "canary")
    router = Router(client, "digits", weights={"stable": 3, "canary": 1})
    for key in KEYS[:4000]:
        router.predict({}, key=key)
    assert abs(client.asked.count("canary") / 4000 - 0.25) < 0.03
    canaries = {key for key in KEYS[:4000] if router.choose(key) == "canary"}
    router.weights = {"stable": 2, "canary": 2}
    assert canaries < {key for key in KEYS[:4000] if router.choose(key) == "canary"}
    assert router.weights == {"stable": 2, "canary": 2}


def test_weights_from_code_split_over_versions(caplog):
    client = Versions(3, 4)
    router = Router(client, "digits", weights={3: 50, 4: 50})
    assert {router.predict({}, key=key).version for key in KEYS[:50]} == {3, 4}
    client.known.remove(4)
    with caplog.at_level(logging.WARNING):
        assert {router.predict({}, key=key).version for key in KEYS[:50]} == {3}
    assert "version 4 is gone" in caplog.text
    assert Router(client, "digits", weights={3: 0, 4: 1}, fallback=3).predict({}).version == 3
    assert Router(client, "digits", weights={4: 1}).fallback == 4


def test_shadow_copies_of_code_are_told_and_change_nothing(caplog):
    client = Versions(3, 4)
    told = []
    router = Router(
        client, "digits", weights={3: 1}, copies={4: 100}, compared=lambda *found: (told.append(found), 1 / 0)
    )
    assert [router.predict({}).version for _ in range(5)] == [3] * 5
    until(lambda: len(told) == 5)
    assert {place for place, _ in told} == {4}
    assert told[0][1]["y"].distance == pytest.approx(1 / 3)
    # a candidate that fails fails nobody
    client.known.remove(4)
    assert router.predict({}).version == 3
    until(lambda: client.asked.count(4) == 6)


def test_shadow_copies_of_awaited_requests():
    told = []

    class Awaited(Versions):
        async def predict(self, *arguments, **more):
            return Versions.predict(self, *arguments, **more)

    async def run():
        router = AsyncRouter(
            Awaited(3, 4), "digits", weights={3: 1}, copies={4: 100}, compared=lambda *found: told.append(found)
        )
        assert (await router.predict({})).version == 3
        await asyncio.gather(*router._copies)

    asyncio.run(run())
    assert told[0][0] == 4


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "a traffic file or weights"),
        ({"traffic_path": "traffic.json", "weights": {"stable": 1}}, "a traffic file or weights"),
        ({"weights": {"stable": 1, 2: 1}}, "for labels or for versions"),
        ({"weights": {"stable": -1}}, "the weight of stable is -1"),
        ({"weights": {"stable": float("nan")}}, "the weight of stable is nan"),
        ({"weights": {True: 1}}, "no label and no version"),
        ({"weights": {1.5: 1}}, "no label and no version"),
    ],
)
def test_what_is_no_split(options, complaint):
    with pytest.raises(UsageError, match=complaint):
        Router(Labels(), "digits", **options)


def test_weights_of_a_file_are_written_to_the_file(path):
    router = Router(Labels(), "digits", path)
    with pytest.raises(UsageError, match="traffic file"):
        router.weights = {"stable": 1}


def test_the_file_is_readable_by_other_tools(path):
    write_traffic(path, "digits", {"stable": 75, "canary": 25})
    assert json.loads(path.read_text()) == {"generation": 1, "models": {"digits": {"canary": 25.0, "stable": 75.0}}}
    assert path.stat().st_mode & 0o777 == 0o644
