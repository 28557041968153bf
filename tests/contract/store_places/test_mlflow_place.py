# SPDX-License-Identifier: Apache-2.0
"""Models in a registry of MLflow: in files of this machine, and behind its REST API."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from support.live import free_port
from support.mlflow_server import MlflowServer
from support.signing import sign_all, write_key, write_version
from tfs_deploy.cli.main import run
from tfs_deploy.errors import EnvironmentFault, ModelError, UsageError, VerdictError
from tfs_deploy.savedmodel.inspect import inspect_model
from tfs_deploy.savedmodel.manifest import build_manifest, signature_digest, verify_manifest, write_manifest
from tfs_deploy.store.identity import identify
from tfs_deploy.store.places.follow import Follower
from tfs_deploy.store.places.opened import open_place
from tfs_deploy.store.places.pull import pull_version


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


@pytest.fixture
def call(capsys):
    """Runs a command with --json and returns its exit code and document."""

    def run_it(*arguments: object):
        capsys.readouterr()
        code = run([*map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run_it


@pytest.fixture
def version(version) -> Path:
    """The version of the other places, without the per cent sign in a name, which MLflow takes for a part of a URL."""
    (version / "assets/Wörter 語 %41.txt").rename(version / "assets/Wörter 語.txt")
    digest = signature_digest(inspect_model(version).signatures)
    write_manifest(version, build_manifest(version, signature_digest=digest))
    return version


@pytest.fixture
def artefact(version, tmp_path) -> Path:
    """The artefacts of a version, with its SavedModel where MLflow's flavour of TensorFlow puts it."""
    folder = tmp_path / "artefact"
    shutil.copytree(version, folder / "tf2model")
    (folder / "MLmodel").write_text("flavors: {tensorflow: {saved_model_dir: tf2model}}\n")
    return folder


@pytest.fixture(params=["files", "rest"])
def registry(request, version, artefact, tmp_path, monkeypatch):
    """A registry with a plain version 1, and a version 2 of MLflow's own form, which is the champion."""
    if request.param == "rest":
        with MlflowServer("digits", {1: version, 2: artefact}, {"champion": 2}) as server:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
            yield
        return
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "registry").as_uri())
    from mlflow import MlflowClient

    client = MlflowClient()
    client.create_registered_model("digits")
    for folder in (version, artefact):
        client.create_model_version("digits", folder.as_uri())
    client.set_registered_model_alias("digits", "champion", "2")
    yield


def deployment(folder: Path, store: str, **more: object) -> Path:
    model = {"name": "digits", "base_path": "models/digits", "store": store, "versions": {"latest": 1}}
    file = folder / "shop.yaml"
    file.write_text(yaml.safe_dump({"name": "shop", "models": [model], **more}))
    return file


def test_a_version_arrives_as_it_was_registered(registry, version, tmp_path):
    place = open_place("mlflow:models/digits")
    assert list(place.versions()) == [1, 2]
    for number in (1, 2):
        pulled = pull_version(place, number, tmp_path / "models/digits")
        assert (pulled.version, pulled.pulled, pulled.digest) == (number, True, identify(version).digest)
        assert verify_manifest(pulled.path) == []
        assert (pulled.path / "assets/empty").read_bytes() == b""
        assert (pulled.path / "assets/Wörter 語.txt").is_file()
    assert sorted(path.name for path in (tmp_path / "models/digits").iterdir()) == ["1", "2"], "no staging is left"
    assert pull_version(place, 2, tmp_path / "models/digits").pulled is False


def test_another_version_of_that_number_is_not_replaced(registry, make, tmp_path):
    base = tmp_path / "models/digits"
    shutil.copytree(make("other"), base / "2")
    with pytest.raises(UsageError, match="has other files than version 2"):
        pull_version(open_place("mlflow:models/digits"), 2, base)
    assert [path.name for path in base.iterdir()] == ["2"]


def test_an_alias_is_the_version_that_it_points_at(registry, tmp_path, call):
    code, document = call("pull", "mlflow:models/digits@champion", "--to", tmp_path / "models/digits")
    assert (code, document["version"], document["place"]) == (0, 2, "mlflow:models/digits@champion")
    assert call("pull", "mlflow:models/digits/1", "--to", tmp_path / "models/digits")[1]["version"] == 1
    code, document = call("pull", "mlflow:models/digits@best", "--to", tmp_path / "models/digits")
    assert (code, "does not have mlflow:models/digits@best" in document["error"]["message"]) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ["inspect", "mlflow:models/digits"],
        ["lint", "mlflow:models/digits@champion", "--fail-on", "error"],
        ["diff", "mlflow:models/digits/1", "mlflow:models/digits/2"],
        ["verify", "mlflow:models/digits/2", "--only", "files"],
    ],
)
def test_what_reads_a_model_takes_a_version_of_a_registry(registry, tmp_path, monkeypatch, call, words):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    code, document = call(*words)
    assert code == 0, document
    assert list(scratch.iterdir()) == [], "the copy is removed"


def test_a_model_may_have_a_number_as_its_name(version, monkeypatch, call):
    with MlflowServer("2026", {1: version}) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        assert call("inspect", "mlflow:models/2026/1")[0] == 0


def test_a_store_of_a_deployment_may_be_a_model_or_an_alias(registry, tmp_path):
    for store, expected in (("mlflow:models/digits", 2), ("mlflow:models/digits@champion", 2)):
        folder = tmp_path / store.rpartition("/")[2]
        folder.mkdir()
        steps = list(Follower(deployment(folder, store)).poll())
        assert [step.pulled.version for step in steps if step.pulled] == [expected], steps
        assert list(Follower(deployment(folder, store)).poll()) == []


def test_only_what_a_trusted_key_signed_is_pulled(tmp_path, monkeypatch, call):
    key, public = write_key(tmp_path, "ours")
    unsigned, signed = write_version(tmp_path / "a"), write_version(tmp_path / "b")
    sign_all(signed, key)
    file = deployment(tmp_path, "mlflow:models/digits", trust=[public.name])
    with MlflowServer("digits", {1: unsigned}) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        code, document = call("pull", file)
        assert (code, "signature.json is missing" in document["error"]["message"]) == (1, True)
        assert not (tmp_path / "models").exists()
        server.folders[2], server.states[2] = signed, "READY"
        assert call("pull", file)[0] == 0
    assert [path.name for path in (tmp_path / "models/digits").iterdir()] == ["2"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["publish", "MODEL", "--to", "mlflow:models/digits"], "is only read"),
        (["publish", "--to", "mlflow:models/digits", "--clean"], "is only read"),
        (["export", "MODEL", "--to", "mlflow:models/digits"], "is not a local directory"),
        (["pull", "models:/digits/1", "--to", "models/digits"], "is not a valid address"),
        (["pull", "mlflow:models/digits/7", "--to", "models/digits", "--version", "8"], "names version 7"),
        (["inspect", "mlflow:models/digits"], "MLFLOW_TRACKING_URI is not set"),
        (["inspect", "runs:/0a1b/model"], "no version number"),
        (["verify", "mlflow:digits/1"], "is not a valid address"),
    ],
)
def test_mistakes_are_told_and_no_directory_is_made(call, version, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    code, document = call(*(version if word == "MODEL" else word for word in words))
    assert (code, message in document["error"]["message"]) == (2, True), document
    assert sorted(tmp_path.iterdir()) == before


def test_mistakes_in_a_deployment_file_are_told(tmp_path, capsys):
    file = deployment(tmp_path, "mlflow:models/digits/7")
    assert run(["pull", str(file)]) == 2
    assert "names one version; write mlflow:models/digits" in capsys.readouterr().err
    file.write_text(file.read_text().replace("models/digits\n", "mlflow:models/digits\n", 1))
    assert run(["pull", str(file)]) == 2
    assert "base_path: mlflow:models/digits is not a directory" in capsys.readouterr().err


def test_what_a_registry_does_not_have_is_told(registry, tmp_path):
    with pytest.raises(ModelError, match="mlflow:models/digits has no version 9") as raised:
        pull_version(open_place("mlflow:models/digits"), 9, tmp_path / "m")
    assert raised.value.hint == "versions there: 1, 2"
    for number in (None, 1):
        with pytest.raises(ModelError, match="does not have mlflow:models/letters"):
            pull_version(open_place("mlflow:models/letters"), number, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_what_is_damaged_on_its_way_is_refused(version, tmp_path, monkeypatch):
    with MlflowServer("digits", {1: version}) as server:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address)
        place = open_place("mlflow:models/digits")
        server.cuts = True
        with pytest.raises(VerdictError, match="did not arrive whole"):
            pull_version(place, 1, tmp_path / "models/digits")
        server.cuts = False
        (version / "saved_model.pb").write_bytes(bytes((version / "saved_model.pb").stat().st_size))
        with pytest.raises(VerdictError, match=r"has changed since the export: saved_model\.pb"):
            pull_version(place, 1, tmp_path / "models/digits")
        server.states[1] = "PENDING_REGISTRATION"
        with pytest.raises(ModelError, match="has no version that is READY"):
            place.versions()
        with pytest.raises(ModelError, match="is PENDING_REGISTRATION") as raised:
            place.publication(1)
        assert raised.value.retriable
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(("status", "message"), [(401, "does not permit"), (503, "failed"), (400, "refuses")])
def test_a_registry_that_refuses_or_is_down_is_told_soon_and_without_secrets(tmp_path, monkeypatch, status, message):
    with MlflowServer("digits", {}) as server:
        server.status = status
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.address.replace("//", "//user:5ecret@"))
        with pytest.raises(EnvironmentFault, match=message) as raised:
            open_place("mlflow:models/digits").versions()
    assert server.address in raised.value.message
    assert not any(secret in str(raised.value) for secret in ("5ecret", "secret-message"))
    assert raised.value.retriable is (status == 503)
    monkeypatch.delenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES")  # MLflow would try for minutes
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        open_place("mlflow:models/digits").versions()


def test_a_link_out_of_a_version_is_not_followed(version, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("5ecret")
    (version / "assets/link").symlink_to(tmp_path / "secret")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "registry").as_uri())
    from mlflow import MlflowClient

    MlflowClient().create_registered_model("digits")
    MlflowClient().create_model_version("digits", version.as_uri())
    with pytest.raises(UsageError, match="leads out of"):
        pull_version(open_place("mlflow:models/digits"), 1, tmp_path / "models/digits")


def test_a_registry_in_files_that_mlflow_refuses_says_why(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", str(tmp_path / "registry"))
    with pytest.raises(UsageError, match="MLFLOW_ALLOW_FILE_STORE"):
        open_place("mlflow:models/digits").versions()


def test_what_is_not_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    place = open_place("mlflow:models/digits")
    monkeypatch.setattr(place, "_knock", lambda: None)

    def lacking(_):
        raise ModuleNotFoundError("No module named 'boto3'", name="boto3")

    with pytest.raises(EnvironmentFault, match=r"MLflow needs boto3 to read http://127\.0\.0\.1:1") as raised:
        place._call("reading", lacking)
    assert raised.value.hint == "pip install boto3"
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(EnvironmentFault, match="mlflow is not installed") as raised:
        open_place("mlflow:models/digits")
    assert "[mlflow]" in str(raised.value.hint)


def test_doctor_asks_the_registry_of_a_model(registry, tmp_path, monkeypatch):
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.doctor.probes import probe_store

    (model,) = load_deployment(deployment(tmp_path, "mlflow:models/digits")).models
    assert probe_store(model).versions == 2
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    refused = probe_store(model).error
    assert refused is not None
    assert "MLFLOW_TRACKING_URI is not set" in refused.message
