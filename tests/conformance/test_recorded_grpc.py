# SPDX-License-Identifier: Apache-2.0
"""Every recorded gRPC request gets the recorded status, text and message."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import json_format

from tfs_deploy import protos

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Remote, Server

RECORDED = Path(__file__).parent / "recorded" / "grpc"
DEBUG_PREFIX = re.compile(r"goo\.gle/debug\w+ *\s*")
MESSAGES = {
    "Predict": ("PredictRequest", "PredictResponse"),
    "Classify": ("ClassificationRequest", "ClassificationResponse"),
    "Regress": ("RegressionRequest", "RegressionResponse"),
    "MultiInference": ("MultiInferenceRequest", "MultiInferenceResponse"),
    "GetModelMetadata": ("GetModelMetadataRequest", "GetModelMetadataResponse"),
    "GetModelStatus": ("GetModelStatusRequest", "GetModelStatusResponse"),
}

#: what is not met, and why
EXCEPTIONS: dict[str, str] = {}


@pytest.fixture(scope="module")
def channel(server: Server | Remote) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc_address) as channel:
        yield channel


def ask(channel: grpc.Channel, path: str, data: bytes) -> tuple[str, str, bytes]:
    call = channel.unary_unary(path, request_serializer=None, response_deserializer=None)
    try:
        return "OK", "", call(data, timeout=100)
    except grpc.RpcError as error:
        return error.code().name, DEBUG_PREFIX.sub("", error.details()), b""


def comparable(kind: str, data: bytes) -> Any:
    message = getattr(protos, kind).FromString(data)
    if kind == "GetModelMetadataResponse" and "signature_def" in message.metadata:
        packed = message.metadata["signature_def"]
        signatures = protos.SignatureDefMap.FromString(packed.value)
        del message.metadata["signature_def"]
        return message, signatures
    return message


def test_recorded_grpc(
    grpc_case: str, channel: grpc.Channel, server: Server | Remote, request: pytest.FixtureRequest
) -> None:
    if grpc_case in EXCEPTIONS and server.is_embedded:
        request.applymarker(pytest.mark.xfail(reason=EXCEPTIONS[grpc_case], strict=True))
    case = json.loads((RECORDED / f"{grpc_case}.json").read_text())
    expected = case["response"]
    if "path" in case:
        path, data, kinds = case["path"], b"", None
    else:
        path, kinds = f"/{case['service']}/{case['method']}", MESSAGES[case["method"]]
        message = getattr(protos, kinds[0])()
        json_format.ParseDict(case.get("request") or {}, message, descriptor_pool=protos.pool())
        data = message.SerializeToString()
    code, details, reply = ask(channel, path, data)
    assert (code, details) == (expected["code"], DEBUG_PREFIX.sub("", expected["details"]))
    if code == "OK" and kinds:
        assert comparable(kinds[1], reply) == comparable(kinds[1], base64.b64decode(expected["message_b64"]))
