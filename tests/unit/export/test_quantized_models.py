# SPDX-License-Identifier: Apache-2.0
"""A model with quantized inputs and outputs: what an export records of it, and what it is asked afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy.client import Client
from tfs_deploy.codec.dtypes import wire_dtype
from tfs_deploy.protos.signatures import DTYPE_NUMBERS
from tfs_deploy.savedmodel.goldens import read_goldens
from tfs_deploy.savedmodel.warmup import read_warmup
from tfs_deploy.server.testing import serve_models
from tfs_deploy.smoke.made_up_inputs import made_up_inputs, output_mismatch
from tfs_deploy.verify.probing.cases import made_up_cases, recorded_cases

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.tensorflow

VALUES = np.int8([[1, -2, 127]])


class Halves(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([None, 3], tf.qint8, name="q")])
    def __call__(self, q: Any) -> Any:
        return {"q": tf.identity(q), "half": tf.cast(tf.bitcast(q, tf.int8), tf.float32) / 2}


@pytest.fixture(scope="module", params=["integers", "wire form"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> td.ExportedVersion:
    given = VALUES if request.param == "integers" else VALUES.view(wire_dtype("qint8"))
    examples = {"serving_default": {"q": given}}
    return td.export_model(Halves(), tmp_path_factory.mktemp("quantized") / "m", examples=examples)


def test_goldens_hold_integers_and_warmup_requests_the_wire_form(exported: td.ExportedVersion) -> None:
    (golden,) = read_goldens(exported.path)
    assert {name: array.dtype for name, array in golden.outputs.items()} == {"q": np.int8, "half": np.float32}
    assert golden.inputs["q"].dtype == np.int8
    assert golden.outputs["half"].tolist() == [[0.5, -1.0, 63.5]]
    (log,) = read_warmup(exported.path)
    assert log.predict_log.request.inputs["q"].dtype == DTYPE_NUMBERS["qint8"]


def test_smoke_and_verify_send_what_a_server_takes(exported: td.ExportedVersion) -> None:
    signature = exported.signatures["serving_default"]
    cases = [*recorded_cases(signature, read_goldens(exported.path)), *made_up_cases(signature)]
    assert {case.inputs["q"].dtype for case in cases} == {wire_dtype("qint8")}
    base_path = Path(exported.path).parent
    with serve_models({"m": base_path}) as server:
        with Client(server.grpc_address, check=False) as client:
            for case in cases:
                assert client.predict("m", case.inputs)["q"].dtype == np.int8
        with Client(server.grpc_address) as client:
            reply = client.predict("m", made_up_inputs(signature))
            assert output_mismatch(signature, reply.outputs) is None
