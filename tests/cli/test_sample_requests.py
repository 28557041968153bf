# SPDX-License-Identifier: Apache-2.0
"""The requests that ``inspect`` prints work as they stand, against a real server."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.live import free_ports, is_open, until
from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.graph.features import Feature
from tfs_deploy.savedmodel.samples import made_up, sample_requests

MODELS = ("zoo", "saved_model_half_plus_two_cpu", "saved_model_counter")
#: signatures that do not say what they take, and that the real server refuses as well
NOT_CALLABLE = {
    ("saved_model_half_plus_two_cpu", "regress_x2_to_y3"),  # float32 where the method sends tf.Examples
    ("saved_model_counter", "incr_counter_by"),  # any shape by its signature, only a scalar in its graph
}


def signatures() -> list[tuple[str, str]]:
    data = Path(__file__).parents[1] / "data" / "models"
    return [(model, name) for model in MODELS for name in inspect_model(data / model).signatures]


@pytest.fixture(scope="module")
def server(models, tmp_path_factory) -> Iterator[tuple[str, str]]:
    """gRPC and REST address of an embedded server with the models."""
    folder = tmp_path_factory.mktemp("server")
    listed = " ".join(
        f'config {{ name: "{name}" base_path: "{models / name}" model_platform: "tensorflow" }}' for name in MODELS
    )
    (folder / "models.config").write_text(f"model_config_list {{ {listed} }}")
    ports = free_ports(2)
    command = [sys.executable, "-m", "tfs_deploy.server", f"--port={ports[0]}", f"--rest_api_port={ports[1]}"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--model_config_file={folder / 'models.config'}"], stdout=log, stderr=log
        )
    try:
        until(lambda: process.poll() is not None or all(is_open(port) for port in ports))
        assert process.poll() is None, (folder / "log").read_text()
        yield f"localhost:{ports[0]}", f"localhost:{ports[1]}"
    finally:
        process.terminate()
        process.wait(100)


@pytest.fixture(scope="module")
def samples(models, server):
    grpc, rest = server
    infos = {model: inspect_model(models / model) for model in MODELS}

    def sample(model: str, name: str):
        info = infos[model]
        return sample_requests(model, info.signatures[name], info.features(name), rest=rest, grpc=grpc)

    return sample


@pytest.mark.parametrize(("model", "name"), sorted(set(signatures()) - NOT_CALLABLE))
def test_curl(samples, model: str, name: str) -> None:
    requests = samples(model, name)
    if requests.curl is None:
        assert requests.note.startswith("REST cannot call it")
        return
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    result = subprocess.run(["/bin/sh", "-c", requests.curl], capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert set(json.loads(result.stdout)) <= {"outputs", "results"}, result.stdout


@pytest.mark.parametrize(("model", "name"), sorted(set(signatures()) - NOT_CALLABLE))
def test_python(samples, model: str, name: str, capsys) -> None:
    requests = samples(model, name)
    exec(compile(requests.python, f"{model}:{name}", "exec"), {})
    assert capsys.readouterr().out


def test_large_inputs_are_made_by_an_expression() -> None:
    """224 x 224 x 3 numbers are not written out; what is sent is still what the signature takes."""
    from tfs_deploy.protos.signatures import PREDICT_METHOD, SignatureInfo, TensorSpec

    image = TensorSpec("image", "float32", (None, 224, 224, 3))
    text = TensorSpec("it's", "string", (None,))
    info = SignatureInfo("serving_default", PREDICT_METHOD, {"image": image, "it's": text}, {})
    curl = sample_requests("m", info).curl
    assert curl is not None
    assert len(curl) < 400
    program, _, call = curl.rpartition(" | ")
    assert call == "curl http://localhost:8501/v1/models/m:predict -d @-"
    result = subprocess.run(["/bin/sh", "-c", program], capture_output=True, text=True, timeout=300, check=True)
    body = json.loads(result.stdout)
    assert body["signature_name"] == "serving_default"
    assert body["inputs"]["it's"] == ["text"]
    sizes = []
    value = body["inputs"]["image"]
    while isinstance(value, list):
        sizes.append(len(value))
        value = value[0]
    assert sizes == [1, 224, 224, 3]


@pytest.mark.parametrize(
    ("dtype", "shape", "said"),
    [
        ("string", (None,), "made up, so the model may refuse it: x may have to be an image, sound or text of a"),
        ("float32", (None, None, None, 3), "made up, so the model may refuse it: the sizes of x are a guess"),
        ("float32", None, "the sizes of x are a guess"),
        ("float32", (None, 4), ""),
        ("int64", (), ""),
    ],
)
def test_a_request_that_a_model_may_refuse_says_that_it_is_made_up(dtype, shape, said):
    signature = SignatureInfo("serving_default", PREDICT_METHOD, {"x": TensorSpec("x", dtype, shape)})
    note = made_up(signature)
    assert said in note
    assert bool(note) == bool(said)
    assert not note or "--example NAME=@FILE" in note


def test_text_that_is_a_known_example_is_not_a_guess():
    signature = SignatureInfo("serving_default", PREDICT_METHOD, {"x": TensorSpec("x", "string", (None,))})
    assert not made_up(signature, [Feature("age", "float32", (1,))])
