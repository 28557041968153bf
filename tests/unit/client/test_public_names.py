# SPDX-License-Identifier: Apache-2.0
"""What a user sees without reading the source: names, help, and what objects print."""

from __future__ import annotations

import inspect
import subprocess
import sys

import numpy as np
import pytest

import tfs_deploy as td
from tfs_deploy import client as clients
from tfs_deploy import store
from tfs_deploy.client import ClassifyReply, Client, Prediction, RegressReply, ScoredClass
from tfs_deploy.client.options import GrpcOptions, Options
from tfs_deploy.errors import UnavailableError
from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec


@pytest.mark.parametrize("module", [td, clients, store])
def test_dir_lists_the_public_names(module):
    assert dir(module) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None


def test_routers_and_errors_are_at_the_top():
    assert td.AsyncRouter is clients.AsyncRouter
    assert td.errors.StatusError.code.name == "UNKNOWN"
    code = "import sys, tfs_deploy; tfs_deploy.errors; assert 'grpc' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (clients.Client, GrpcOptions),
        (clients.AsyncClient, GrpcOptions),
        (clients.RestClient, Options),
        (clients.AsyncRestClient, Options),
    ],
)
def test_help_says_what_each_option_means(kind, options):
    said = inspect.getdoc(kind)
    for name in options.__annotations__:
        assert f" {name}: " in said or f" {name}, " in said or f", {name}: " in said, name


@pytest.mark.parametrize("kind", [clients.Client, clients.AsyncClient])
def test_predict_many_takes_what_predict_takes(kind):
    of_many = inspect.signature(kind.predict_many).parameters
    for name, parameter in inspect.signature(kind.predict).parameters.items():
        if name != "inputs":
            assert of_many[name].annotation == parameter.annotation
    assert not any(each.kind is inspect.Parameter.VAR_KEYWORD for each in of_many.values())


def test_what_replies_print(grpc_address):
    with Client(grpc_address) as client:
        said = "ModelMetadata(half version 1; serving_default(x: float32 [?]) -> y: float32 [?]; two("
        assert repr(client.metadata("half")).startswith(said)
        (prediction,) = client.predict_many("half", [{"x": 3.0}])
        assert repr(prediction) == "Prediction(0: y = 1.5)"
        assert repr(td.Router(client, "half", weights={1: 3, 2: 1})) == "Router('half', {1: 3, 2: 1}, fallback=1)"
    assert repr(Prediction(1, {"y": np.zeros(9, np.float32)})) == "Prediction(1: y = float32[9])"
    failed = Prediction(2, {}, error=UnavailableError("down", hint="wait"))
    assert repr(failed) == "Prediction(2: UnavailableError: down)"
    classes = ClassifyReply([[ScoredClass("a", 0.25), ScoredClass("b", 0.75)]] * 2, model="m", version=1, signature="s")
    assert repr(classes) == "ClassifyReply(2 examples: b 0.75, b 0.75; m version 1, s)"
    values = RegressReply(np.arange(9, dtype=np.float32) / 2, model="m", version=1, signature="s")
    assert repr(values) == "RegressReply(9 examples: 0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, ...; m version 1, s)"


def test_what_exported_objects_print(tmp_path):
    signature = SignatureInfo("serving_default", "", {"x": TensorSpec("x", "int64", (None, 2))}, {})
    exported = td.ExportedVersion(tmp_path / "3", 3, {"serving_default": signature}, manifest=None)
    assert repr(exported) == f"ExportedVersion({tmp_path}/3; serving_default(x: int64 [?, 2]) -> )"
