# SPDX-License-Identifier: Apache-2.0
"""Copies of requests for a candidate: compared, and neither delaying nor failing the request."""

from __future__ import annotations

from support.live import until
from support.recorded_requests import MODEL, Labels, X, lines, total
from tfs_deploy.client import Router, write_traffic
from tfs_deploy.errors import InternalError


def test_copies_are_compared_and_neither_delay_nor_fail_the_request(path, folder):
    write_traffic(path, MODEL, {"stable": 100}, copies={"canary": 100})
    client = Labels()
    client.hold.clear()
    router = Router(client, MODEL, path)
    inputs = X.copy()

    assert router.predict({"x": inputs}).version == 1
    inputs[:] = 7.0  # the caller's array is the caller's again
    client.hold.set()
    until(lambda: client.seen.count(("canary", 3.0)) == 1)
    client.error["canary"] = InternalError("no memory")
    assert router.predict({"x": X}).version == 1
    until(lambda: len(client.seen) == 4)
    until(lambda: router.close() or total(folder, "canary", "errors") == 1)

    assert total(folder, "canary", "requests") == 2
    compared = [line["labels"]["canary"]["compared"] for line in lines(folder) if "canary" in line["labels"]]
    assert {"y": [1, 1.0, 0.0, 0]} in compared
    assert total(folder, "stable", "requests") == 2


def test_copies_for_which_there_is_no_room_are_dropped(path):
    write_traffic(path, MODEL, {"stable": 100}, copies={"canary": 100})
    client = Labels()
    client.hold.clear()
    router = Router(client, MODEL, path, record=False)
    for _ in range(200):
        router.predict({"x": X})
    client.hold.set()

    assert 200 - 64 - 8 <= router._threads.dropped <= 200 - 64


def test_a_label_that_serves_gets_no_copy_of_its_own_request(path):
    write_traffic(path, MODEL, {"canary": 100}, copies={"canary": 100})
    client = Labels()
    Router(client, MODEL, path, record=False).predict({"x": X})

    assert client.asked == ["canary"]
