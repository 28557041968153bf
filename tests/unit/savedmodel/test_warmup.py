# SPDX-License-Identifier: Apache-2.0
"""Warmup files."""

from __future__ import annotations

import pytest

from tfs_deploy import protos
from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.formats.tfrecord import write_records
from tfs_deploy.savedmodel.warmup import count_warmup, read_warmup, write_warmup


def predict_request():
    request = protos.PredictRequest()
    request.model_spec.name = "m"
    request.inputs["x"].dtype = 1
    request.inputs["x"].float_val.append(2.0)
    return request


def test_every_kind_of_request_round_trips(tmp_path) -> None:
    requests = [
        predict_request(),
        predict_request().SerializeToString(),
        protos.ClassificationRequest(),
        protos.RegressionRequest(),
        protos.MultiInferenceRequest(),
    ]
    path = write_warmup(tmp_path, requests)
    assert path == tmp_path / "assets.extra" / "tf_serving_warmup_requests"
    logs = list(read_warmup(tmp_path))
    kinds = ["predict_log", "predict_log", "classify_log", "regress_log", "multi_inference_log"]
    assert [log.WhichOneof("log_type") for log in logs] == kinds
    assert logs[0].predict_log.request == logs[1].predict_log.request == predict_request()
    assert count_warmup(tmp_path) == 5


def test_more_than_the_server_accepts_is_refused(tmp_path) -> None:
    with pytest.raises(ModelError, match="1001 warmup requests"):
        write_warmup(tmp_path, [predict_request()] * 1001)
    assert not (tmp_path / "assets.extra").exists()


def test_other_messages_are_refused(tmp_path) -> None:
    with pytest.raises(TypeError, match="ModelSpec cannot warm up"):
        write_warmup(tmp_path, [protos.ModelSpec()])


def test_no_file(tmp_path) -> None:
    assert list(read_warmup(tmp_path)) == []
    assert count_warmup(tmp_path) is None


def test_a_record_that_is_no_log_is_named(tmp_path) -> None:
    path = write_warmup(tmp_path, [])
    write_records(path, [protos.PredictionLog().SerializeToString(), b"\xff\xff"])
    with pytest.raises(ModelError, match="record 1 is not a PredictionLog"):
        list(read_warmup(tmp_path))
