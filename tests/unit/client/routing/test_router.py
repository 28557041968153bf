# SPDX-License-Identifier: Apache-2.0
"""Routers: they follow the traffic file or weights from code, and fall back when a label is gone."""

from __future__ import annotations

import asyncio
import errno
import logging
import shutil

import numpy as np
import pytest

from support.live import until
from tfs_deploy.client import AsyncRouter, Router, write_traffic
from tfs_deploy.codec import PredictReply
from tfs_deploy.errors import EnvironmentFault, InvalidArgumentError, NotFoundError, UnavailableError, UsageError
from tfs_deploy.state import json_files

KEYS = [f"user-{number}" for number in range(200_000)]


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


def test_a_file_that_cannot_be_looked_at_keeps_the_split_and_says_so(tmp_path, clock, caplog):
    path = tmp_path / "mount" / "traffic.json"
    write_traffic(path, "m", {"stable": 90, "canary": 10})
    router = Router(Labels(), "m", path, record=False, clock=clock)
    shutil.rmtree(path.parent)
    path.parent.write_text("a file in the place of the folder")
    clock.now += 1

    assert router.weights == {"stable": 90.0, "canary": 10.0}
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_file_that_cannot_be_read_for_a_moment_is_read_again(path, clock, caplog, monkeypatch):
    write_traffic(path, "m", {"stable": 100})
    router = Router(Labels(), "m", path, record=False, clock=clock)
    write_traffic(path, "m", {"stable": 90, "canary": 10})

    def too_many(_self, **_):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(json_files, "read_regular", too_many)
        for _ in range(3):
            clock.now += 1
            assert router.weights == {"stable": 100.0}
    assert len(caplog.records) == 1
    clock.now += 1
    assert router.weights == {"stable": 90.0, "canary": 10.0}


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
                raise NotFoundError("Servable not found for request: Specific(digits, 2)")
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


@pytest.mark.parametrize(
    "error",
    [
        *(InvalidArgumentError("bad shapes"), UnavailableError("down")),
        NotFoundError("Resource localhost/table/N10tensorflow6lookup does not exist."),  # a model's own
        NotFoundError("http://proxy answered HTTP 404"),
    ],
)
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
        ({"weights": {"stable": -1}}, "not a valid weight for stable: -1"),
        ({"weights": {"stable": float("nan")}}, "not a valid weight for stable: nan"),
        ({"weights": {True: 1}}, "not a valid label or version"),
        ({"weights": {1.5: 1}}, "not a valid label or version"),
    ],
)
def test_what_is_no_split(options, complaint):
    with pytest.raises(UsageError, match=complaint):
        Router(Labels(), "digits", **options)


def test_weights_of_a_file_are_written_to_the_file(path):
    router = Router(Labels(), "digits", path)
    with pytest.raises(UsageError, match="traffic file"):
        router.weights = {"stable": 1}
