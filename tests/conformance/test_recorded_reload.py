# SPDX-License-Identifier: Apache-2.0
"""Recorded sequences of HandleReloadConfigRequest: same replies, same states afterwards."""

from __future__ import annotations

import base64
import json
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import json_format

from tfs_deploy import protos

if TYPE_CHECKING:
    from collections.abc import Callable

RECORDED = Path(__file__).parent / "recorded" / "reload"

BOTH = "model_version_policy { specific { versions: 123 versions: 124 } }"
FIRST = "model_version_policy { specific { versions: 123 } }"
ALLOW = "--allow_version_labels_for_unavailable_models=true"

#: runs of one server: the policy of model m at the start, more flags, first and last step
RUNS = {
    "policies, labels, removals, empty base path": (BOTH, [], 1, 73),
    "missing base path": (BOTH, [], 74, 76),
    "base path is a file": (BOTH, [], 77, 77),
    "no numeric versions": (BOTH, [], 78, 78),
    "labels for unavailable versions": (BOTH, [ALLOW], 79, 84),
    "label and load at once": (FIRST, [], 85, 86),
    "no platform sticks": (BOTH, [], 87, 89),
    "type and platform stick": (BOTH, [], 90, 92),
    "unknown platform does not stick": (BOTH, [], 93, 95),
    "label refused, then not asked for": (BOTH, [], 96, 98),
}
#: the calls of the client end by their deadline, which was longer when they were recorded
DEADLINE_SECONDS = 1.5
#: steps that bring a model back before it is unloaded, a tenth of a second at the most -> the step that removes it
OVERTAKING = {21: 19, 23: 22}
#: how long the states of a step may take to come about
PATIENCE_SECONDS = 60.0


def steps(first: int, last: int) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for number in range(first, last + 1):
        (path,) = RECORDED.glob(f"{number:03}_*.json")
        found.append((number, json.loads(path.read_text())))
    return found


class Replay:
    def __init__(self, server: Any, work: Path, models: Path) -> None:
        self.server = server
        self.work = work
        self.models = models
        self.channel = grpc.insecure_channel(server.grpc_address)

    def here(self, text: str) -> str:
        return text.replace("/models/", f"{self.models}/").replace("/run/w/", f"{self.work}/")

    def there(self, text: str) -> str:
        return text.replace(f"{self.models}/", "/models/").replace(f"{self.work}/", "/run/w/")

    def ask(self, path: str, data: bytes, seconds: float) -> tuple[str, str, bytes]:
        call = self.channel.unary_unary(path, request_serializer=None, response_deserializer=None)
        try:
            return "OK", "", call(data, timeout=seconds)
        except grpc.RpcError as error:
            return error.code().name, self.there(error.details()), b""

    def reload(self, case: dict[str, Any]) -> tuple[str, str, bytes]:
        text = self.here(case["request_text"])
        request = protos.ReloadConfigRequest()
        protos.parse_text(text, request if text.startswith("config") else request.config)
        expected = case["response"]["code"]
        seconds = DEADLINE_SECONDS if expected == "DEADLINE_EXCEEDED" else 20
        return self.ask(
            "/tensorflow.serving.ModelService/HandleReloadConfigRequest", request.SerializeToString(), seconds
        )

    def status(self, model: str) -> dict[int, tuple[str, int, str]] | None:
        request = protos.GetModelStatusRequest()
        request.model_spec.name = model
        code, _, data = self.ask("/tensorflow.serving.ModelService/GetModelStatus", request.SerializeToString(), 5)
        if code == "NOT_FOUND":
            return None
        states = protos.GetModelStatusResponse.FromString(data).model_version_status
        kind = protos.GetModelStatusResponse.DESCRIPTOR.file.message_types_by_name["ModelVersionStatus"]
        names = kind.enum_types_by_name["State"].values_by_number
        return {
            state.version: (names[state.state].name, state.status.error_code, self.there(state.status.error_message))
            for state in states
        }

    def overtake(self, number: int, case: dict[str, Any]) -> tuple[str, str, bytes]:
        """Reload; where the machine was late and the model gone, remove it and bring it back once more."""
        found = self.reload(case)
        for _ in range(50):
            if found[0] == case["response"]["code"]:
                break
            ((_, removal),) = steps(OVERTAKING[number], OVERTAKING[number])
            self.reload(removal)
            found = self.reload(case)
        return found

    def check_states(self, number: int, case: dict[str, Any]) -> None:
        for model, reply in (case.get("status_after") or {}).items():
            wanted = None
            if reply["statuses"] is not None:
                wanted = {s["version"]: (s["state"], s["error_code"], s["error_message"]) for s in reply["statuses"]}
            deadline = time.monotonic() + PATIENCE_SECONDS
            removed = model and case["response"]["code"] == "OK" and f'name: "{model}"' not in case["request_text"]
            passing = LEAVING if removed else LOADING
            while not same_states(found := self.status(model), wanted, passing) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert same_states(found, wanted, passing), f"step {number}: model {model!r} is {found}, not {wanted}"

    def rest(self, request: dict[str, Any]) -> tuple[int, Any]:
        url = f"http://127.0.0.1:{self.server.rest_port}{request['path']}"
        body = None if request["body"] is None else request["body"].encode()
        call = urllib.request.Request(url, data=body, method=request["method"])
        try:
            with urllib.request.urlopen(call, timeout=100) as reply:
                return reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)


#: states on the way -> what they may have become by the time one looks: where a model stays, and where it is removed
LOADING = {"LOADING": {"LOADING", "AVAILABLE"}}
LEAVING = {"AVAILABLE": {"AVAILABLE", "UNLOADING", "END"}}


def same_states(found: Any, wanted: Any, passing: dict[str, set[str]]) -> bool:
    """States on the way count as reached."""
    if found is None or wanted is None or found.keys() != wanted.keys():
        return found == wanted
    return all(
        found[version][0] in passing.get(state[0], {state[0]}) and found[version][1:] == state[1:]
        for version, state in wanted.items()
    )


def prepare(work: Path) -> None:
    (work / "broken" / "1").mkdir(parents=True)
    # long enough for what the loader reads at once, and no message
    (work / "broken" / "1" / "saved_model.pb").write_bytes(b"\xff" * 64)
    (work / "emptydir").mkdir()
    (work / "afile").write_text("no directory")
    (work / "nonnum" / "abc").mkdir(parents=True)


def before_step(name: str, replay: Replay) -> None:
    if name == "after_unblocked_by_adding_version":
        staged = replay.work / "7"
        shutil.copytree(replay.models / "saved_model_half_plus_three" / "00000123", staged)
        staged.rename(replay.work / "emptydir" / "7")
        # the call that waited for this version ends, and the one behind it, whose client is gone, removes the model
        gone = {"version": 7, "state": "END", "error_code": 0, "error_message": ""}
        removal = {"status_after": {"em": {"statuses": [gone]}}, "response": {"code": "OK"}, "request_text": ""}
        replay.check_states(0, removal)


@pytest.mark.parametrize("run", RUNS)
def test_recorded_reload(run: str, start_server: Callable[..., Any], tmp_path: Path, models: Path) -> None:
    policy, flags, first, last = RUNS[run]
    prepare(tmp_path)
    base_path = models / "saved_model_half_plus_two_2_versions"
    config = tmp_path / "a.config"
    config.write_text(
        f'model_config_list {{ config {{ name: "m" base_path: "{base_path}" model_platform: "tensorflow" {policy} }} }}'
    )
    server = start_server(
        f"--model_config_file={config}", "--file_system_poll_wait_seconds=1", "--max_num_load_retries=0", *flags
    )
    server.wait_for_versions("m", {"123", "124"} if policy == BOTH else {"123"})
    replay = Replay(server, tmp_path, models)
    for number, case in steps(first, last):
        before_step(case["case"], replay)
        play(replay, number, case)
    replay.channel.close()


def play(replay: Replay, number: int, case: dict[str, Any]) -> None:
    expected = case["response"]
    if case["api"] == "REST":
        status, document = replay.rest(case["request"])
        assert (status, document) == (expected["status"], json.loads(expected["body"])), f"step {number}"
        return
    if case["method"] == "HandleReloadConfigRequest":
        code, details, data = replay.overtake(number, case) if number in OVERTAKING else replay.reload(case)
    else:
        request = json_format.ParseDict(case["request"], protos.PredictRequest(), descriptor_pool=protos.pool())
        code, details, data = replay.ask(
            "/tensorflow.serving.PredictionService/Predict", request.SerializeToString(), 10
        )
    assert (code, details) == (expected["code"], expected["details"]), f"step {number}"
    if code == "OK":
        kind = protos.ReloadConfigResponse if case["method"] != "Predict" else protos.PredictResponse
        assert kind.FromString(data) == kind.FromString(base64.b64decode(expected["message_b64"])), f"step {number}"
    replay.check_states(number, case)
