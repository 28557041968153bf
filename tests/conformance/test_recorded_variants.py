# SPDX-License-Identifier: Apache-2.0
"""Recorded replies of servers with other flags: CORS, timeouts, method names, health, TLS, metrics."""

from __future__ import annotations

import base64
import functools
import json
import re
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

RECORDED = Path(__file__).parent / "recorded"
SERVICE = "/tensorflow.serving.PredictionService/"
KINDS = {
    "Predict": ("PredictRequest", "PredictResponse"),
    "Classify": ("ClassificationRequest", "ClassificationResponse"),
    "Regress": ("RegressionRequest", "RegressionResponse"),
}
NAMES = sorted(path.stem for path in (RECORDED / "variants").glob("*.json") if "tls" not in path.stem)


def rest(port: int, request: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
    body = None if request["body"] is None else request["body"].encode()
    call = urllib.request.Request(
        f"http://127.0.0.1:{port}{request['path']}", data=body, method=request["method"], headers=request["headers"]
    )
    try:
        with urllib.request.urlopen(call, timeout=100) as reply:
            return reply.status, dict(reply.headers), reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def ask(address: str, path: str, data: bytes, seconds: float = 10) -> tuple[str, str, bytes]:
    with grpc.insecure_channel(address) as channel:
        try:
            return "OK", "", channel.unary_unary(path)(data, timeout=seconds)
        except grpc.RpcError as error:
            return error.code().name, error.details(), b""


@pytest.fixture(scope="module")
def server_with(start_module_server: Callable[..., Any]) -> Callable[..., Any]:
    """One server for each set of flags."""
    return functools.cache(start_module_server)


@pytest.mark.parametrize("name", NAMES)
def test_recorded_variant(name: str, server_with: Callable[..., Any], models: Path) -> None:
    case = json.loads((RECORDED / "variants" / f"{name}.json").read_text())
    flags = [flag.replace("/models/", f"{models}/") for flag in case["server_args"] if "_port=" not in flag]
    server = server_with(*(flag for flag in flags if not flag.startswith("--port=")))
    expected = case.get("response", case)
    if case.get("api") == "REST":
        status, headers, body = rest(server.rest_port, case["request"])
        assert status == expected["status"]
        cors = {key: value for key, value in headers.items() if key.lower().startswith("access-control")}
        assert {key.lower(): value for key, value in cors.items()} == {
            key.lower(): value for key, value in expected["headers"] if key.startswith("Access-Control")
        }
        assert parsed(body) == parsed(expected["body"].encode())
    elif case["case"] == "health":
        request = protos.HealthCheckRequest(service=case["service_field"]).SerializeToString()
        code, details, data = ask(server.grpc_address, "/grpc.health.v1.Health/Check", request)
        assert (code, details) == (expected["code"], expected.get("details", ""))
        assert data.hex() == expected.get("message_hex", "")
    else:
        kinds = KINDS[case["method"]]
        request = json_format.ParseDict(case["request"], getattr(protos, kinds[0])(), descriptor_pool=protos.pool())
        seconds = 0.4 if expected["code"] == "DEADLINE_EXCEEDED" else 10
        code, details, data = ask(server.grpc_address, SERVICE + case["method"], request.SerializeToString(), seconds)
        assert code == expected["code"]
        if code == "OK":
            kind = getattr(protos, kinds[1])
            assert kind.FromString(data) == kind.FromString(base64.b64decode(expected["message_b64"]))
        elif code != "DEADLINE_EXCEEDED":
            # the client's own timer may be first to end the call, with a text of its own
            assert details == expected["details"]


def parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


def test_tls(start_server: Callable[..., Any], tmp_path: Path, models: Path, tls_pair: tuple[str, str]) -> None:
    key, certificate = tls_pair
    config = tmp_path / "ssl.txt"
    config.write_text(protos.to_text(protos.SSLConfig(server_key=key, server_cert=certificate)))
    base_path = models / "saved_model_half_plus_two_cpu"
    server = start_server("--model_name=m", f"--model_base_path={base_path}", f"--ssl_config_file={config}")
    insecure = json.loads((RECORDED / "variants" / "021_tls_insecure_client.json").read_text())
    request = json_format.ParseDict(insecure["request"], protos.PredictRequest(), descriptor_pool=protos.pool())
    code, _, _ = ask(server.grpc_address, SERVICE + "Predict", request.SerializeToString())
    assert code == insecure["response"]["code"] == "UNAVAILABLE"
    credentials = grpc.ssl_channel_credentials(certificate.encode())
    with grpc.secure_channel(f"localhost:{server.grpc_port}", credentials) as channel:
        data = channel.unary_unary(SERVICE + "Predict")(request.SerializeToString(), timeout=100)
    secure = json.loads((RECORDED / "variants" / "022_tls_secure_client.json").read_text())
    recorded = base64.b64decode(secure["response"]["message_b64"])
    assert protos.PredictResponse.FromString(data) == protos.PredictResponse.FromString(recorded)
    plain = json.loads((RECORDED / "variants" / "023_tls_rest_stays_plain.json").read_text())
    status, _, body = rest(server.rest_port, plain["request"])
    assert (status, json.loads(body)) == (200, json.loads(plain["response"]["body"]))


def samples(page: str, prefix: str) -> dict[str, str]:
    lines = [line for line in page.splitlines() if line.startswith(prefix) and "_bucket" not in line]
    return dict(line.rsplit(" ", 1) for line in lines)


def test_metrics_count_as_recorded(start_server: Callable[..., Any], tmp_path: Path, models: Path) -> None:
    """The recorded gRPC cases and nothing else: a subset of the page recorded after more of them."""
    config = tmp_path / "models.config"
    config.write_text((models / "models.config").read_text().replace("/models/", f"{models}/"))
    server = start_server(
        f"--model_config_file={config}",
        f"--monitoring_config_file={models / 'monitoring.config'}",
        "--allow_version_labels_for_unavailable_models=true",
    )
    good = protos.PredictRequest()
    good.model_spec.name = "hp2_cpu"
    good.inputs["x"].CopyFrom(protos.TensorProto(dtype=1, float_val=[1.0]))
    for _ in range(3):
        assert ask(server.grpc_address, SERVICE + "Predict", good.SerializeToString())[0] == "OK"
    good.model_spec.name = "nosuch"
    assert ask(server.grpc_address, SERVICE + "Predict", good.SerializeToString())[0] == "NOT_FOUND"
    rest(server.rest_port, {"method": "GET", "path": "/v1/models/zoo", "body": None, "headers": {}})
    status, headers, body = rest(
        server.rest_port, {"method": "GET", "path": "/monitoring/prometheus/metrics", "body": None, "headers": {}}
    )
    assert (status, headers["content-type"]) == (200, "text/plain")
    page = body.decode()
    assert samples(page, ":tensorflow:serving:request_count") == {
        ':tensorflow:serving:request_count{model_name="hp2_cpu",status="OK"}': "3",
        ':tensorflow:serving:request_count{model_name="nosuch",status="NOT_FOUND"}': "1",
        ':tensorflow:serving:request_count{model_name="zoo",status="OK"}': "1",
    }
    assert samples(page, ":tensorflow:core:graph_runs") == {":tensorflow:core:graph_runs{}": "3"}
    recorded = (RECORDED / "metrics" / "metrics_page_after_grpc_cases.txt").read_text()
    names = re.compile(r"^(:tensorflow:serving:\w+(?::\w+)?)\{", re.MULTILINE)
    labels = re.compile(r'(\w+)="')
    for line in page.splitlines():
        name = names.match(line)
        if name and name[1] in recorded:
            same = next(there for there in recorded.splitlines() if there.startswith(name[1] + "{"))
            assert labels.findall(line) == labels.findall(same), line
    bounds = re.compile(r'request_latency_bucket\{.*le="([^"]+)"\}')
    assert list(dict.fromkeys(bounds.findall(page))) == list(dict.fromkeys(bounds.findall(recorded)))
