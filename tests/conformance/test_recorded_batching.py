# SPDX-License-Identifier: Apache-2.0
"""Recorded replies of a server that batches."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import json_format

from tfs_deploy import protos

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDED = Path(__file__).parent / "recorded" / "batching"
PARAMETERS = json.loads((RECORDED / "014_two_merge.json").read_text())["batching_parameters"]
PREDICT = "/tensorflow.serving.PredictionService/Predict"

#: what is not met, and why
EXCEPTIONS = {"005_empty_batch": "the recorded server did not answer within 20 s; here no rows give no rows"}
#: how often requests are sent until they arrive in the order of the recorded ones
ATTEMPTS = 5


@pytest.fixture(scope="module")
def batching(start_recorded: Any) -> Iterator[Any]:
    return start_recorded("--enable_batching=true", batching_parameters=PARAMETERS)


def predict(channel: grpc.Channel, request: dict[str, Any]) -> tuple[str, str, bytes]:
    message = json_format.ParseDict(request, protos.PredictRequest(), descriptor_pool=protos.pool())
    try:
        return "OK", "", channel.unary_unary(PREDICT)(message.SerializeToString(), timeout=100)
    except grpc.RpcError as error:
        return error.code().name, error.details(), b""


def check(reply: tuple[str, str, bytes], expected: dict[str, Any]) -> None:
    code, details, data = reply
    assert (code, details) == (expected["code"], expected["details"])
    if code == "OK":
        recorded = base64.b64decode(expected["message_b64"])
        assert protos.PredictResponse.FromString(data) == protos.PredictResponse.FromString(recorded)


def test_recorded_batching(batching_case: str, batching: Any, request: pytest.FixtureRequest) -> None:
    if batching_case in EXCEPTIONS:
        request.applymarker(pytest.mark.xfail(reason=EXCEPTIONS[batching_case], strict=True))
    case = json.loads((RECORDED / f"{batching_case}.json").read_text())
    if case.get("api") == "REST":
        url = f"http://127.0.0.1:{batching.rest_port}{case['request']['path']}"
        try:
            with urllib.request.urlopen(url, data=case["request"]["body"].encode(), timeout=100) as reply:
                found = reply.status, json.load(reply)
        except urllib.error.HTTPError as error:
            with error:
                found = error.code, json.load(error)
        assert found == (case["response"]["status"], json.loads(case["response"]["body"]))
        return
    with grpc.insecure_channel(batching.grpc_address) as channel:
        if "concurrent_requests" in case:
            check_together(channel, case)
            return
        started = time.monotonic()
        check(predict(channel, case["request"]), case["response"])
        if "waits_for_timeout" in batching_case:
            assert time.monotonic() - started >= 0.3


def check_together(channel: grpc.Channel, case: dict[str, Any]) -> None:
    """Compare the replies to requests that meet in a batch; they do so again if they arrived in another order."""
    for attempts_left in reversed(range(ATTEMPTS)):
        replies = send_together(channel, case["concurrent_requests"])
        try:
            for reply, expected in zip(replies, case["responses"], strict=True):
                check(reply, expected)
        except AssertionError:
            if not attempts_left:
                raise
        else:
            return


def send_together(channel: grpc.Channel, requests: list[dict[str, Any]]) -> list[tuple[str, str, bytes]]:
    with ThreadPoolExecutor(len(requests)) as pool:
        futures = []
        for request in requests:
            futures.append(pool.submit(predict, channel, request))
            # one after the other, as they were sent: the first is not the last
            time.sleep(0.01)
        return [future.result() for future in futures]
