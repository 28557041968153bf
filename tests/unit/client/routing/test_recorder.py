# SPDX-License-Identifier: Apache-2.0
"""What routers record for a rollout."""

from __future__ import annotations

import asyncio
import errno
import os
import threading

import pytest

from support.live import until
from support.recorded_requests import MODEL, Labels, X, lines, total
from tfs_deploy.client import AsyncRouter, RequestRecorder, Router, write_traffic
from tfs_deploy.client.routing.comparison import Difference
from tfs_deploy.errors import InternalError, InvalidArgumentError, RequestError


def test_one_line_holds_what_was_counted_since_the_last(tmp_path):
    recorder = RequestRecorder(tmp_path, interval=60)
    recorder.record("stable", 0.001)
    recorder.record("stable", 0.003)
    recorder.record("canary", 0.5, error=True)
    recorder.outcome("canary", 1.0)
    recorder.compare("canary", {"y": Difference(0.25, 0.5, 2)})
    recorder.flush()
    recorder.flush()
    recorder.record("stable", 0.001)
    recorder.close()

    first, second = lines(tmp_path)
    stable, canary = first["labels"]["stable"], first["labels"]["canary"]
    assert (stable["requests"], stable["errors"], stable["total"]) == (2, 0, pytest.approx(0.004))
    assert sum(stable["classes"].values()) == 2
    assert (canary["requests"], canary["errors"], canary["classes"]) == (1, 1, {})
    assert canary["outcomes"] == [1, 1.0, 1.0]
    assert canary["compared"] == {"y": [1, 0.25, 0.5, 2]}
    assert first["mono"][1] <= second["mono"][0] <= second["mono"][1]
    assert set(second["labels"]) == {"stable"}


def test_it_writes_by_itself_and_ends_with_its_owner(tmp_path):
    others = set(threading.enumerate())
    recorder = RequestRecorder(tmp_path, interval=0.01)
    recorder.record("stable", 0.001)
    until(lambda: lines(tmp_path))
    writer = next(thread for thread in set(threading.enumerate()) - others if thread.name == "recorder")

    del recorder

    until(lambda: not writer.is_alive())


def test_a_folder_that_cannot_be_looked_at_is_warned_about(tmp_path, caplog, monkeypatch):
    recorder = RequestRecorder(tmp_path, interval=60)

    def stale(_folder):
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr("tfs_deploy.client.routing.recorder.is_watched", stale)
    recorder.record("stable", 0.001)
    recorder.flush()

    assert [record.message for record in caplog.records] == [
        f"requests are not recorded: [Errno {errno.ESTALE}] Stale file handle"
    ]


def test_a_folder_that_cannot_be_written_is_warned_about_once(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    recorder = RequestRecorder(tmp_path / "file" / "requests", interval=60)
    for _ in range(3):
        recorder.record("stable", 0.001)
        recorder.flush()

    assert [record.message.split(":")[0] for record in caplog.records] == ["requests are not recorded"]


def test_many_threads_lose_no_request(tmp_path):
    recorder = RequestRecorder(tmp_path, interval=0.01)
    threads = [
        threading.Thread(target=lambda: [recorder.record("stable", 0.001) for _ in range(5000)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recorder.close()

    assert total(tmp_path, "stable", "requests") == 20_000


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_a_file_of_its_own(tmp_path):
    recorder = RequestRecorder(tmp_path, interval=60)
    recorder.record("stable", 0.001)
    pid = os.fork()
    if pid == 0:
        recorder.record("stable", 0.001)
        recorder.close()
        os._exit(0)
    os.waitpid(pid, 0)
    recorder.close()

    assert [len(file.read_text().splitlines()) for file in tmp_path.glob("*.jsonl")] == [1, 1]
    assert total(tmp_path, "stable", "requests") == 2


def test_a_file_stays_small_and_keeps_the_newest_lines(tmp_path, monkeypatch):
    monkeypatch.setattr("tfs_deploy.state.request_tallies._LARGEST", 2000)
    recorder = RequestRecorder(tmp_path, interval=60)
    for number in range(50):
        recorder.record("stable", 0.001 * number)
        recorder.flush()

    assert next(tmp_path.glob("*.jsonl")).stat().st_size < 3000
    assert lines(tmp_path)[-1]["labels"]["stable"]["total"] == pytest.approx(0.049)
    recorder.close()


class AwaitedLabels(Labels):
    async def predict(self, model, inputs, **wanted):
        return super().predict(model, inputs, **wanted)


def test_nothing_is_recorded_while_all_traffic_is_stables_but_somebody_is_there(path, folder):
    router = Router(Labels(), MODEL, path)
    router.predict({"x": X})
    router.close()

    assert [file.read_text() for file in folder.iterdir()] == [""]


def test_requests_and_errors_are_recorded_by_label(path, folder):
    write_traffic(path, MODEL, {"stable": 50, "canary": 50})
    client = Labels()
    client.error["canary"] = InternalError("no memory")
    router = Router(client, MODEL, path)
    router.predict({"x": X}, label="stable")
    router.outcome(1.0, label="stable")
    with pytest.raises(InternalError):
        router.predict({"x": X}, label="canary")
    client.error["canary"] = RequestError("never sent")
    with pytest.raises(RequestError):
        router.predict({"x": X}, label="canary")
    client.error["canary"] = InvalidArgumentError("Unrecognized servable version label: canary")
    assert router.predict({"x": X}, label="canary").version == 1
    router.close()

    assert (total(folder, "stable", "requests"), total(folder, "stable", "errors")) == (2, 0)
    assert (total(folder, "canary", "requests"), total(folder, "canary", "errors")) == (1, 1)


def test_recording_can_be_left_out(path, folder):
    write_traffic(path, MODEL, {"stable": 50, "canary": 50})
    router = Router(Labels(), MODEL, path, record=False)
    router.predict({"x": X})
    router.outcome(1.0, label="stable")
    router.close()

    assert not folder.exists()


def test_the_asynchronous_router_splits_falls_back_records_and_copies(path, folder):
    async def story() -> None:
        write_traffic(path, MODEL, {"canary": 100})
        client = AwaitedLabels()
        router = AsyncRouter(client, MODEL, path)
        assert (await router.predict({"x": X})).version == 2
        client.error["canary"] = InvalidArgumentError("Unrecognized servable version label: canary")
        assert (await router.predict({"x": X})).version == 1
        assert router.fallbacks == 1
        client.error["canary"] = InternalError("no memory")
        with pytest.raises(InternalError):
            await router.predict({"x": X})

        write_traffic(path, MODEL, {"stable": 100}, copies={"canary": 100})
        await asyncio.sleep(0.21)
        assert (await router.predict({"x": X})).version == 1
        await asyncio.gather(*router._copies)
        client.error.clear()
        assert (await router.predict({"x": X})).version == 1
        await asyncio.gather(*router._copies)
        router.close()

    asyncio.run(story())

    assert (total(folder, "stable", "requests"), total(folder, "canary", "requests")) == (3, 4)
    assert total(folder, "canary", "errors") == 2
