# SPDX-License-Identifier: Apache-2.0
"""What smoke says about an answer, by its transport."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from tfs_deploy.client import ModelMetadata
from tfs_deploy.codec import PredictReply
from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.savedmodel.goldens import Golden
from tfs_deploy.smoke.json_text import not_text
from tfs_deploy.smoke.results import Outcome, Target
from tfs_deploy.smoke.smoke import smoke_target

X = {"x": TensorSpec("x", "float32", (None,))}


@dataclass
class Server:
    """Answers each request with the same value, as a client returns it."""

    output: str
    value: bytes

    def metadata(self, model, **which) -> ModelMetadata:
        outputs = {self.output: TensorSpec(self.output, "string", (None,))}
        return ModelMetadata(model, 1, {"s": SignatureInfo("s", PREDICT_METHOD, X, outputs)})

    def predict(self, model, inputs, *, signature, **which) -> PredictReply:
        return PredictReply(
            {self.output: np.array([self.value] * len(inputs["x"]), object)},
            model=model,
            version=1,
            signature=signature,
        )


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize(
    ("output", "value", "says"),
    [
        ("image", b"\x89PNG", "name it 'image_bytes'"),
        ("image_bytes", b"\x89PNG", ""),
        ("text", "h\u00e9llo".encode(), ""),
    ],
)
def test_bytes_that_no_json_parser_reads_fail_over_rest(monkeypatch, tmp_path, output, value, says, recorded):
    golden = Golden("s", {"x": np.ones(1, np.float32)}, {output: np.array([value], object)}, 0.0, 0.0)
    monkeypatch.setattr("tfs_deploy.smoke.smoke._goldens", lambda *where: [golden] if recorded else [])
    server = Server(output, value)

    checks = list(smoke_target("m", tmp_path, Target(version=1), {"grpc": server, "rest": server}))

    grpc, rest = (check for check in checks if check.name == "s")
    assert grpc.outcome is Outcome.OK
    assert (rest.outcome is Outcome.FAILED) is bool(says), rest
    assert says in rest.detail
    assert bool(not_text({output: golden.outputs[output], "y": np.ones(1)})) is bool(says)
