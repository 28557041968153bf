# SPDX-License-Identifier: Apache-2.0
"""Recorded lives of model versions: the same states in the same order, and the same errors."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import json_format

from tfs_deploy import protos
from tfs_deploy.codec import encode_predict_request
from tfs_deploy.savedmodel.warmup import write_warmup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

RECORDED = Path(__file__).parent / "recorded" / "state"
STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
#: states that a version only passes through; whether a poll sees them is luck
PASSING = ("START", "LOADING", "UNLOADING")
ORDER = ["START", "LOADING", "AVAILABLE", "UNLOADING", "END"]
PATIENCE_SECONDS = 60.0
#: how long nothing must happen where nothing happened
QUIET_SECONDS = 1.5

State = tuple[str, int, str]


def load(name: str) -> dict[str, Any]:
    return json.loads((RECORDED / f"{name}.json").read_text())


def states_of(statuses: list[dict[str, Any]] | None) -> dict[int, State]:
    return {s["version"]: (s["state"], s["error_code"], s["error_message"]) for s in statuses or []}


def changes(snapshots: list[dict[int, State]]) -> list[tuple[int, State]]:
    """List what changed from one snapshot to the next, by version, without the states in passing."""
    found = []
    for before, after in itertools.pairwise(snapshots):
        new = [(version, state) for version, state in after.items() if before.get(version) != state]
        found += [change for change in new if change[1][0] not in PASSING]
    return sorted(found)


def serves(snapshot: dict[int, State]) -> bool:
    return any(state[0] == "AVAILABLE" for state in snapshot.values())


class Watcher:
    """Polls the states of model m and keeps every snapshot that differs from the one before."""

    def __init__(self, server: Any, work: Path) -> None:
        self.work = work
        self.server = server
        self.channel = grpc.insecure_channel(server.grpc_address)
        self.snapshots: list[dict[int, State]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def there(self, text: str) -> str:
        return text.replace(f"{self.work}/", "/run/w/")

    def status(self) -> dict[int, State]:
        request = protos.GetModelStatusRequest()
        request.model_spec.name = "m"
        call = self.channel.unary_unary("/tensorflow.serving.ModelService/GetModelStatus")
        try:
            reply = protos.GetModelStatusResponse.FromString(call(request.SerializeToString(), timeout=100))
        except grpc.RpcError:
            return {}
        return {
            entry.version: (STATES[entry.state], entry.status.error_code, self.there(entry.status.error_message))
            for entry in reply.model_version_status
        }

    def _run(self) -> None:
        while not self._stop.wait(0.003):
            now = self.status()
            if not self.snapshots or self.snapshots[-1] != now:
                self.snapshots.append(now)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert time.monotonic() < deadline, f"{what}; saw {self.snapshots}"
            time.sleep(0.005)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self.channel.close()

    def replay(self, name: str, *events: Callable[[], Any]) -> None:
        """Let the recorded events happen, and compare what comes of each."""
        sequence = load(name)["sequence"]
        expected: list[list[dict[int, State]]] = [[]]
        for entry in sequence:
            if "EVENT" in entry:
                expected.append([])
            else:
                expected[-1].append(states_of(entry["statuses"]))
        flat = [snapshot for part in expected for snapshot in part]
        # a record may list its event before the states at its start
        start = flat[0]
        assert len(events) == len(expected) - 1, name
        self.wait(lambda: self.status() == start, f"{name}: the start is {start}")
        for event, part in zip(events, expected[1:], strict=True):
            self._check_event(name, event, [start, *part])
            start = part[-1] if part else start
        self._check_order()

    def _check_event(self, name: str, event: Callable[[], Any], part: list[dict[int, State]]) -> None:
        self.snapshots = [self.status()]
        event()
        wanted = changes(part)
        last = part[-1]
        if not wanted and all(state[0] not in PASSING for state in last.values()):
            time.sleep(QUIET_SECONDS)
        self.wait(lambda: self.status() == last, f"{name}: the end is {last}")
        self.wait(lambda: changes(self.snapshots) == wanted, f"{name}: expected {wanted}")

    def _check_order(self) -> None:
        """No version goes back, except from its end to a new start, and the model stays available throughout."""
        if serves(self.snapshots[0]) and serves(self.snapshots[-1]):
            assert all(serves(snapshot) for snapshot in self.snapshots), self.snapshots
        for before, after in itertools.pairwise(self.snapshots):
            for version, (state, *_) in after.items():
                was = before.get(version, ("START",))[0]
                assert was == "END" or ORDER.index(state) >= ORDER.index(was), self.snapshots


class World:
    """The base path that a server watches."""

    def __init__(self, base: Path, models: Path) -> None:
        self.base = base
        self.good = models / "zoo" / "1"
        self.base.mkdir(exist_ok=True)

    def put(self, name: int | str, change: Callable[[Path], Any] = lambda _: None) -> None:
        staged = self.base.parent / f"staged-{name}"
        shutil.copytree(self.good, staged)
        change(staged)
        self.base.mkdir(exist_ok=True)
        staged.rename(self.base / str(name))

    def remove(self, name: int | str) -> None:
        # in one step, as a half-removed directory is another case
        gone = self.base.parent / f"gone-{name}-{time.monotonic_ns()}"
        (self.base / str(name)).rename(gone)
        shutil.rmtree(gone)


def slow_warmup(path: Path) -> None:
    write_warmup(path, [encode_predict_request("m", {"x": [60.0]}, signature="slow")])


def warmup_unknown_signature(path: Path) -> None:
    write_warmup(path, [encode_predict_request("m", {"x": [1.0]}, signature="nosuch")])


def warmup_garbage(path: Path) -> None:
    from tfs_deploy.savedmodel.formats.tfrecord import write_records

    (path / "assets.extra").mkdir()
    write_records(path / "assets.extra" / "tf_serving_warmup_requests", [b"garbage"])


def wrong_tag(path: Path) -> None:
    model = protos.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    del model.meta_graphs[0].meta_info_def.tags[:]
    model.meta_graphs[0].meta_info_def.tags.append("train")
    (path / "saved_model.pb").write_bytes(model.SerializeToString())


def truncate(name: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        data = (path / name).read_bytes()
        (path / name).write_bytes(data[: 20 if name.endswith(".index") else len(data) // 2])

    return change


#: recorded damage -> what makes it
DAMAGE: dict[str, Callable[[Path], Any]] = {
    "garbage_pb": lambda path: (path / "saved_model.pb").write_bytes(b"garbage"),
    "no_pb": lambda path: (path / "saved_model.pb").unlink(),
    "no_variables_dir": lambda path: shutil.rmtree(path / "variables"),
    "no_variables_data": lambda path: (path / "variables" / "variables.data-00000-of-00001").unlink(),
    "truncated_variables_index": truncate("variables/variables.index"),
    "truncated_pb": truncate("saved_model.pb"),
    "empty_pb": lambda path: (path / "saved_model.pb").write_bytes(b""),
    "empty_dir": lambda path: [shutil.rmtree(each) if each.is_dir() else each.unlink() for each in path.iterdir()],
    "wrong_tag": wrong_tag,
}


@pytest.fixture
def start(
    start_server: Callable[..., Any], tmp_path: Path, models: Path
) -> Iterator[Callable[..., tuple[Watcher, World]]]:
    watchers = []

    def begin(*flags: str, policy: str = "", first: int = 1) -> tuple[Watcher, World]:
        world = World(tmp_path / "seq", models)
        world.put(first)
        config = tmp_path / "s.config"
        config.write_text(
            f'model_config_list {{ config {{ name: "m" base_path: "{world.base}" model_platform: "tensorflow" '
            f"{policy} }} }}"
        )
        server = start_server(f"--model_config_file={config}", "--file_system_poll_wait_seconds=1", *flags)
        watcher = Watcher(server, tmp_path)
        watchers.append(watcher)
        watcher.wait(lambda: watcher.status().get(first, ("",))[0] == "AVAILABLE", "the first version")
        return watcher, world

    yield begin
    for watcher in watchers:
        watcher.close()


def answer(watcher: Watcher, name: str) -> None:
    """Compare a recorded request made in the middle of a sequence."""
    case = load(name)
    expected = case["response"]
    if case["api"] == "REST":
        url = f"http://127.0.0.1:{watcher.server.rest_port}{case['request']['path']}"
        with urllib.request.urlopen(url, timeout=100) as reply:
            assert json.loads(watcher.there(reply.read().decode())) == json.loads(expected["body"]), name
        return
    request = json_format.ParseDict(case["request"], protos.PredictRequest(), descriptor_pool=protos.pool())
    call = watcher.channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
    try:
        call(request.SerializeToString(), timeout=100)
        found = ("OK", "")
    except grpc.RpcError as error:
        found = (error.code().name, error.details())
    assert either_variable(found) == either_variable((expected["code"], expected["details"])), name


def either_variable(reply: tuple[str, str]) -> tuple[str, str]:
    """Which of two missing variables is found missing first is luck."""
    text = re.sub(r"\b(variable |localhost/)[kb]\b", r"\1*", reply[1])
    return reply[0], re.sub(r"node (mul|add)/ReadVariableOp", "node */ReadVariableOp", text)


def test_new_versions_replace_old_ones(start: Any) -> None:
    watcher, world = start("--max_num_load_retries=0")
    watcher.replay("001_new_version_latest_policy_slow_warmup", lambda: world.put(2, slow_warmup))
    watcher.replay("002_newest_version_removed", lambda: world.remove(2))
    watcher.replay("003_last_version_removed", lambda: world.remove(1))
    answer(watcher, "004_predict_after_last_version_removed")
    watcher.replay("005_base_path_removed_and_back", lambda: shutil.rmtree(world.base), lambda: world.put(5))
    for number, kind in enumerate(DAMAGE, 6):
        step = 6 + 4 * (number - 6)
        watcher.replay(f"{step + 3:03}_broken_{kind}", lambda number=number, kind=kind: world.put(number, DAMAGE[kind]))
        answer(watcher, f"{step:03}_predict_latest_after_broken_{kind}")
        answer(watcher, f"{step + 1:03}_predict_broken_version_{kind}")
        answer(watcher, f"{step + 2:03}_rest_status_with_broken_{kind}")
        world.remove(number)
    watcher.replay("042_warmup_unknown_signature", lambda: world.put(15, warmup_unknown_signature))
    watcher.replay("043_warmup_garbage_record", lambda: world.put(16, warmup_garbage))
    watcher.replay("044_version_is_plain_file", lambda: (world.base / "99").write_text("a file"))
    for name in ("15", "16"):
        world.remove(name)
    (world.base / "99").unlink()

    def odd_names() -> None:
        for name in ("v100", "100.tmp", "-7", "1e3", "00000042", ".200", "0"):
            world.put(name)

    watcher.replay("045_odd_version_dir_names", odd_names)


def test_a_failing_load_is_tried_again_later(start: Any) -> None:
    watcher, world = start()
    watcher.replay("046_broken_version_default_retries", lambda: world.put(2, DAMAGE["garbage_pb"]))


def test_a_failing_load_is_tried_as_often_as_asked(start: Any, models: Path) -> None:
    watcher, world = start("--max_num_load_retries=2", "--load_retry_interval_micros=500000")
    watcher.replay("047_broken_version_two_retries", lambda: world.put(2, DAMAGE["garbage_pb"]))
    attempts = watcher.server.log.read_text().count("loading m version 2 failed")
    assert attempts == 3

    def repair() -> None:
        shutil.copy(world.good / "saved_model.pb", world.base / "2" / "saved_model.pb")

    def away_and_back() -> None:
        world.remove(2)
        world.put(2)

    watcher.replay("048_broken_version_repaired", repair, away_and_back)
    request = protos.ReloadConfigRequest()
    request.config.model_config_list.config.add(
        name="o", base_path=str(models / "saved_model_half_plus_three"), model_platform="tensorflow"
    )
    call = watcher.channel.unary_unary("/tensorflow.serving.ModelService/HandleReloadConfigRequest")
    watcher.replay("050_model_removed_by_reload", lambda: call(request.SerializeToString(), timeout=100))


def test_policy_all_serves_every_version(start: Any) -> None:
    watcher, world = start(policy="model_version_policy { all {} }")
    watcher.replay("051_policy_all_add_then_remove", lambda: world.put(2, slow_warmup), lambda: world.remove(1))


def test_ports_open_only_when_models_are_served(start_server: Any, tmp_path: Path, models: Path) -> None:
    world = World(tmp_path / "seq", models)
    world.put(1, slow_warmup)
    server = start_server("--model_name=m", f"--model_base_path={world.base}")
    watcher = Watcher(server, tmp_path)
    states = watcher.status()
    watcher.close()
    assert states == {1: ("AVAILABLE", 0, "")}


def test_a_failed_version_is_not_tried_again_in_place(start: Any) -> None:
    watcher, world = start("--max_num_load_retries=0")

    def replace_files() -> None:
        shutil.copy(world.good / "saved_model.pb", world.base / "2" / "saved_model.pb")

    watcher.replay("053_broken_then_in_place_wait", lambda: world.put(2, DAMAGE["garbage_pb"]), replace_files)


def test_a_failed_version_is_not_tried_again_after_it_was_away(start: Any) -> None:
    watcher, world = start("--max_num_load_retries=0")
    watcher.replay(
        "054_broken_then_remove_then_put",
        lambda: world.put(2, DAMAGE["garbage_pb"]),
        lambda: world.remove(2),
        lambda: world.put(2),
    )


def test_a_new_number_heals_a_failed_version(start: Any) -> None:
    watcher, world = start("--max_num_load_retries=0")
    watcher.replay("055_broken_then_new_number", lambda: world.put(2, DAMAGE["garbage_pb"]), lambda: world.put(3))
