# SPDX-License-Identifier: Apache-2.0
"""The shipped wire schema equals the installed packages, and lives beside them in one process."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2, text_format

from tfs_deploy import protos
from tfs_deploy.protos import methods

PLATFORM_CONFIG = (
    'platform_configs { key: "tensorflow" value { source_adapter_config { '
    "[type.googleapis.com/tensorflow.serving.SavedModelBundleSourceAdapterConfig] { "
    "legacy_config { batching_parameters { num_batch_threads { value: 2 } } } } } } }"
)
ROOT = Path(__file__).resolve().parents[3]


def run_python(code: str) -> str:
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_schema_equals_installed_packages():
    result = subprocess.run(
        [sys.executable, str(ROOT / "scripts/make_schema"), "--check"], capture_output=True, text=True, timeout=300
    )
    assert result.returncode == 0, result.stderr


USED = {
    name
    for path in (ROOT / "tfs_deploy").rglob("*.py")
    for name in re.findall(r"\bprotos\.([A-Z]\w+)", path.read_text(encoding="utf-8"))
}


@pytest.mark.parametrize("name", sorted(USED))
def test_every_name_in_use_is_one_message(name):
    message = getattr(protos, name)()
    assert type(message).FromString(message.SerializeToString()) == message
    assert [package for package in protos._PACKAGES if exists(f"{package}.{name}")] == [message.DESCRIPTOR.file.package]


def exists(full_name: str) -> bool:
    try:
        return bool(protos.message_class(full_name))
    except KeyError:
        return False


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="NoSuchMessage"):
        _ = protos.NoSuchMessage


@pytest.mark.parametrize("first", ["tfs_deploy", "tensorflow"])
def test_lives_beside_the_real_packages(first):
    ours = "from tfs_deploy import protos; ours = protos.PredictRequest()"
    theirs = "from tensorflow_serving.apis import predict_pb2; theirs = predict_pb2.PredictRequest()"
    code = f"""
import os; os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
{ours if first == "tfs_deploy" else theirs}
{theirs if first == "tfs_deploy" else ours}
theirs.model_spec.name = "digits"
theirs.model_spec.version.value = 7
theirs.inputs["image"].dtype = 1
theirs.inputs["image"].float_val.extend([1.0, 2.0])
ours.MergeFromString(theirs.SerializeToString())
assert ours.inputs["image"].float_val[:] == [1.0, 2.0]
assert ours.model_spec.version.value == 7
assert type(theirs).FromString(ours.SerializeToString()) == theirs
print("both")
"""
    assert run_python(code).strip() == "both"


def test_methods_are_those_of_the_services():
    pool = protos.pool()
    paths = {
        f"/{service}/{method.name}"
        for service in (methods.PREDICTION_SERVICE, methods.MODEL_SERVICE, methods.HEALTH_SERVICE)
        for method in pool.FindServiceByName(service).methods
    }
    declared = {value for name, value in vars(methods).items() if name.isupper() and value.startswith("/")}
    assert declared == paths


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("ModelServerConfig", 'model_config_list { config { name: "a" model_version_policy { latest { } } } }'),
        ("BatchingParameters", "max_batch_size { value: 128 } allowed_batch_sizes: 64 allowed_batch_sizes: 128"),
        ("MonitoringConfig", 'prometheus_config { enable: true path: "/metrics" }'),
        ("SSLConfig", 'server_key: "k" server_cert: "c" custom_ca: "a" client_verify: true'),
        (
            "PlatformConfigMap",
            PLATFORM_CONFIG,
        ),
    ],
)
def test_text_format_round_trip(kind, text):
    message = protos.parse_text(text, getattr(protos, kind)())
    assert message.ByteSize() > 0
    again = protos.parse_text(protos.to_text(message), getattr(protos, kind)())
    assert again == message


def test_unknown_field_in_text_is_refused():
    with pytest.raises(text_format.ParseError, match="no field named"):
        protos.parse_text("no_such_field: 1", protos.MonitoringConfig())


def test_schema_is_a_plain_descriptor_set():
    files = descriptor_pb2.FileDescriptorSet.FromString(protos.schema_bytes()).file
    names = {file.name for file in files}
    assert "tensorflow_serving/apis/prediction_service.proto" in names
    assert "tensorflow/core/protobuf/saved_model.proto" in names
