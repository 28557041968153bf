# SPDX-License-Identifier: Apache-2.0
"""The sample requests of a version with recorded calls are these calls."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tfs_deploy import protos
from tfs_deploy.protos.signatures import CLASSIFY_METHOD, PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.savedmodel.describe import describe
from tfs_deploy.savedmodel.goldens import Golden, write_goldens
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.recorded_samples import recorded_requests

HERE = Path()
JPEG = b"\xff\xd8\xff\xe0 not text"


def signature(method: str = PREDICT_METHOD, **inputs: TensorSpec) -> SignatureInfo:
    return SignatureInfo("s", method, inputs, {"y": TensorSpec("y", "float32", (None,))})


def strings(*values: bytes) -> np.ndarray:
    array = np.empty(len(values), object)
    array[:] = values
    return array


def body_of(curl: str) -> dict:
    """What a curl command sends."""
    program, _, call = curl.rpartition(" | ")
    if not program:
        words = shlex.split(call)
        return json.loads(words[words.index("-d") + 1])
    command = shlex.split(program)
    assert command[0] == "python3"
    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        (strings(JPEG, b"more"), [{"b64": base64.b64encode(JPEG).decode()}]),
        (strings(b"1,2,3"), ["1,2,3"]),
        (strings(b'{"a": "it\'s"}'), ['{"a": "it\'s"}']),
        (strings("h\u00e9llo".encode()), ["h\u00e9llo"]),
        (np.float32([[1, 2], [3, 4]]), [[1.0, 2.0]]),
        (np.array([True, False]), [True]),
    ],
)
def test_the_first_row_is_sent(recorded: np.ndarray, sent: object) -> None:
    spec = TensorSpec("x", "string", (None, *recorded.shape[1:]))
    requests = recorded_requests("m", signature(x=spec), Golden("s", {"x": recorded}, {}), HERE)
    assert requests is not None
    assert body_of(requests.curl or "") == {"signature_name": "s", "inputs": {"x": sent}}
    assert repr(recorded[:1].tolist()) in (requests.python or "")


def test_large_numbers_keep_their_shape() -> None:
    image = TensorSpec("image", "float32", (None, None, None, 3))
    golden = Golden("s", {"image": np.zeros((2, 16, 32, 3), np.float32)}, {})
    requests = recorded_requests("m", signature(image=image), golden, HERE)
    assert requests is not None
    assert np.shape(body_of(requests.curl or "")["inputs"]["image"]) == (1, 16, 32, 3)
    assert "recorded.inputs" in (requests.python or "")


def test_long_bytes_are_read_from_the_recorded_call(tmp_path: Path) -> None:
    sound = Golden("s", {"wav_bytes": strings(JPEG * 1000)}, {"y": np.float32([1])})
    write_goldens(tmp_path, [sound])
    wav = TensorSpec("wav_bytes", "string", (None,))
    requests = recorded_requests("m", signature(wav_bytes=wav), sound, tmp_path)
    assert requests is not None
    assert len(requests.curl or "") < 1000
    sent = body_of(requests.curl or "")["inputs"]["wav_bytes"]
    assert base64.b64decode(sent[0]["b64"]) == JPEG * 1000


def test_inputs_that_are_no_batch_are_sent_whole() -> None:
    golden = Golden("s", {"users": np.zeros((2, 2)), "items": np.zeros((3, 2))}, {})
    specs = {name: TensorSpec(name, "float64", (None, 2)) for name in golden.inputs}
    requests = recorded_requests("m", signature(**specs), golden, HERE)
    assert requests is not None
    assert np.shape(body_of(requests.curl or "")["inputs"]["items"]) == (3, 2)


def test_tf_examples_are_written_out() -> None:
    example = protos.Example()
    example.features.feature["age"].int64_list.value.append(7)
    example.features.feature["words"].bytes_list.value.extend([b"a", b"\xff"])
    inputs = {"inputs": strings(example.SerializeToString())}
    classify = signature(CLASSIFY_METHOD, inputs=TensorSpec("inputs", "string", (None,)))
    requests = recorded_requests("m", classify, Golden("s", inputs, {}), HERE)
    assert requests is not None
    assert body_of(requests.curl or "")["examples"] == [{"age": 7, "words": ["a", {"b64": "/w=="}]}]
    assert recorded_requests("m", classify, Golden("s", {"inputs": strings(b"text")}, {}), HERE) is None


def test_a_version_with_recorded_calls_shows_them(copy_model) -> None:
    folder = copy_model("zoo/2")
    (name,) = inspect_model(folder).signatures["strlen"].inputs
    write_goldens(folder, [Golden("strlen", {name: strings(b"recorded")}, {"y": np.int32([8])})])
    shown = describe(inspect_model(folder))["signatures"]
    assert "recorded" in shown["strlen"]["requests"]["curl"]
    assert "recorded" not in shown["strs"]["requests"]["curl"]
