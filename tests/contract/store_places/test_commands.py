# SPDX-License-Identifier: Apache-2.0
"""``publish --to``, ``pull`` and what reads a model, over a store."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml

from support.signing import verdict_about, write_key, write_version
from tfs_deploy.cli.main import run
from tfs_deploy.savedmodel.manifest import verify_manifest
from tfs_deploy.store.places.follow import Follower
from tfs_deploy.store.places.opened import open_place


@pytest.fixture
def call(capsys):
    """Runs a command with --json and returns its exit code and document."""

    def run_it(*arguments: object):
        capsys.readouterr()
        code = run([*map(str, arguments), "--json"])
        return code, json.loads(capsys.readouterr().out)

    return run_it


@pytest.fixture
def deployed(tmp_path):
    """Writes a deployment file with one model."""

    def write(store: str | None, **model: object) -> Path:
        more = {} if store is None else {"store": store}
        document = {
            "name": "shop",
            "models": [{"name": "digits", "base_path": str(tmp_path / "models/digits"), **more, **model}],
        }
        path = tmp_path / "shop.yaml"
        path.write_text(yaml.safe_dump(document))
        return path

    return write


def numbers(base: Path) -> list[str]:
    return sorted(path.name for path in base.iterdir()) if base.exists() else []


def test_publish_and_pull_say_what_they_did(weed, new_address, version, tmp_path, call):
    place = new_address(weed)
    code, published = call("publish", version, "--to", place)
    assert code == 0
    assert published["path"] == f"{place}@1"
    assert published["sent_bytes"] == published["bytes"]
    base = tmp_path / "models/digits"
    code, pulled = call("pull", place, "--to", base)
    assert code == 0
    assert pulled["pulled"] is True
    assert (pulled["digest"], pulled["bytes"]) == (published["digest"], published["bytes"])
    assert call("pull", f"{place}@1", "--to", base)[1]["pulled"] is False
    code, refused = call("publish", version, "--to", place, "--version", 1)
    assert code == 2
    assert "published by" in refused["error"]["message"]


@pytest.mark.parametrize("kind", ["weed", "images"])
def test_retention_of_a_store_keeps_what_a_deployment_names(request, kind, new_address, version, deployed, call):
    place = new_address(request.getfixturevalue(kind))
    file = deployed(place, versions={"specific": [1]}, labels={"stable": 1})
    for _ in range(3):
        call("publish", version, "--to", place)
    code, published = call("publish", version, "--to", place, "--keep", 2, "--deployment", file)
    assert (code, published["pruned"]) == (0, [2])
    assert list(open_place(place).versions()) == [1, 3, 4]


@pytest.mark.parametrize("kind", ["weed", "images"])
def test_only_what_a_trusted_key_signed_is_pulled(request, kind, new_address, tmp_path, deployed, call):
    key, public = write_key(tmp_path, "ours")
    other, _ = write_key(tmp_path, "other")
    version = write_version(tmp_path / "made")
    verdict = verdict_about(version, tmp_path / "verified")
    base, place = tmp_path / "models/digits", new_address(request.getfixturevalue(kind))
    file = deployed(place)
    file.write_text(f"{file.read_text()}trust: [{public}]\n")
    sign = ("--sign", key, "--require-verdict", verdict)

    assert call("publish", version, "--to", place)[0] == 0
    code, document = call("pull", file)
    assert (code, "assets.extra/signature.json is missing" in str(document), numbers(base)) == (1, True, [])
    assert call("publish", version, "--to", place, "--sign", other, "--require-verdict", verdict)[0] == 0
    code, document = call("pull", file)
    assert (code, "not trusted" in str(document), numbers(base)) == (1, True, [])
    code, published = call("publish", version, "--to", place, *sign)
    assert (code, published["signed_by"]["name"] != "") == (0, True)
    assert (call("pull", file)[0], numbers(base)) == (0, ["3"])
    assert sorted(path.name for path in (version / "assets.extra").iterdir()) == ["tfs_deploy.json"]

    digest = published["digest"]
    file.write_text(f"{file.read_text()}revoked: [{digest}]\n")
    assert call("publish", version, "--to", place, *sign)[0] == 0
    code, document = call("pull", file)
    assert (code, "is revoked" in str(document), numbers(base)) == (1, True, ["3"])


def test_a_signed_upload_that_was_cut_off_is_resumed(weed, new_address, tmp_path, call):
    key, _ = write_key(tmp_path, "ours")
    version, address = write_version(tmp_path / "made"), new_address(weed)
    assert call("publish", version, "--to", address, "--sign", key)[0] == 0
    open_place(address).delete(["published/1.json"])
    code, again = call("publish", version, "--to", address, "--sign", key)
    smallest = min(path.stat().st_size for path in version.rglob("*") if path.is_file())  # sent in any case
    assert (code, again["version"], again["sent_bytes"]) == (0, 1, smallest)


def test_clean_needs_no_model(weed, new_address, version, call):
    place = open_place(new_address(weed))
    folder = place.publish(version).publication.folder
    place.delete(["published/1.json"])
    code, document = call("publish", "--to", place.address, "--clean")
    assert (code, document["cleaned"]) == (0, [])
    code, document = call("publish", "--to", place.address, "--clean", "--older-than", "0s")
    assert (code, document["cleaned"]) == (0, [folder])


def test_a_registry_cleans_itself(images, new_address, version, capsys):
    place = new_address(images)
    assert run(["publish", str(version), "--to", place, "--clean"]) == 0
    said = capsys.readouterr().out
    assert f"{place}@1" in said
    assert "a registry collects what no version names by itself" in said


@pytest.mark.parametrize("command", [["inspect"], ["lint", "--fail-on", "error"], ["diff"]])
@pytest.mark.parametrize("kind", ["weed", "images"])
def test_what_reads_a_model_takes_a_version_in_a_store(
    request, kind, new_address, version, call, tmp_path, monkeypatch, command
):
    place = new_address(request.getfixturevalue(kind))
    open_place(place).publish(version)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    given = [f"{place}@1", version] if command[0] == "diff" else [place]
    code, document = call(command[0], *given, *command[1:])
    assert code == 0, document
    assert numbers(scratch) == [], "the copy is removed"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["pull", "s3://models/digits"], "--to is missing"),
        (["pull", "nowhere.yaml"], "nowhere.yaml does not exist"),
        (["pull", "s3://models/digits/7", "--to", "x"], "ends in a number"),
        (["pull", "s4://models/digits", "--to", "x"], "not a kind of place"),
        (["pull", "s3://models/digits@7", "--to", "x", "--version", "8"], "names version 7"),
        (["pull", "s3://models/digits", "--follow"], "need a deployment FILE"),
        (["publish", "m", "--to", "s3://models/digits@7"], "is one version"),
        (["publish", "--to", "s3://models/digits"], "MODEL_DIR is missing"),
        (["publish", "m", "--to", "s3://key:secret@models/digits"], "names no valid bucket"),
        (["export", "m", "--to", "s3://models/digits"], "is not a local directory"),
        (["inspect", "s3:///digits"], "names no valid bucket"),
        (["inspect", "oci://me:secret@host/digits"], "names no valid registry"),
        (["pull", "oci://host/digits:latest", "--to", "x"], "valid version after its ':'"),
        (["publish", "m", "--to", "oci://host/digits:7"], "is one version"),
    ],
)
def test_mistakes_are_told(call, arguments, message):
    code, document = call(*arguments)
    assert code == 2
    assert message in document["error"]["message"]
    assert "secret" not in json.dumps(document)


def test_a_deployment_gets_what_it_serves(weed, new_address, version, deployed, tmp_path, call):
    place = open_place(new_address(weed))
    for _ in range(4):
        place.publish(version)
    file = deployed(str(place.address), versions={"specific": [2, 4]}, labels={"stable": 2})
    code, document = call("pull", file)
    assert code == 0
    assert [step["pulled"]["version"] for step in document["models"]] == [2, 4]
    assert numbers(tmp_path / "models/digits") == ["2", "4"]
    assert call("pull", file)[1]["models"] == []
    assert call("pull", deployed(None))[0] == 2


def test_doctor_asks_the_registry_of_a_model(images, new_address, version, deployed, tmp_path):
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.doctor.probes import probe_store

    place = open_place(new_address(images))
    place.publish(version)
    (model,) = load_deployment(deployed(str(place.address))).models
    assert probe_store(model).versions == 1
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text("{")
    assert probe_store(model).error is None, "credentials are read only where they are asked for"
    (model,) = load_deployment(deployed("oci://127.0.0.1:9/digits")).models
    refused = probe_store(model).error
    assert refused is not None
    assert "oci://127.0.0.1:9 cannot be reached" in refused.message


def test_doctor_asks_the_store_of_a_model(weed, new_address, version, deployed, monkeypatch):
    from tfs_deploy.deployment.file import load_deployment
    from tfs_deploy.doctor.probes import probe_store

    place = open_place(new_address(weed))
    place.publish(version)
    (model,) = load_deployment(deployed(str(place.address))).models
    assert probe_store(model).versions == 1
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    refused = probe_store(model).error
    assert refused is not None
    assert "AWS_SECRET_ACCESS_KEY" in refused.message


def test_a_follower_pulls_what_is_new_keeps_what_is_named_and_outlives_a_failing_store(
    weed, new_address, version, deployed, tmp_path
):
    place = open_place(new_address(weed))
    base = tmp_path / "models/digits"
    place.publish(version)
    file = deployed(str(place.address), versions={"specific": [1]}, labels={"stable": 1})
    follower = Follower(file, keep=1, opened=lambda _: place)
    assert [step.pulled.version for step in follower.poll()] == [1]
    deployed(str(place.address), versions="all", labels={"stable": 1})
    for expected in ([2], [3]):
        place.publish(version)
        made = place.requests.made
        steps = list(follower.poll())
        assert [step.pulled.version for step in steps if step.pulled] == expected
        assert place.requests.made > made
    assert numbers(base) == ["1", "2", "3"], "under the policy all, every version is named"
    deployed(str(place.address), versions={"specific": [1, 3]}, labels={"stable": 1})
    assert [step.pruned for step in follower.poll()] == [(2,)]
    assert numbers(base) == ["1", "3"]
    made = place.requests.made
    assert list(follower.poll()) == []
    assert place.requests.made - made == 1, "one LIST if there is nothing to do"
    file.write_text("models: [")
    assert [step.error is not None for step in follower.poll()] == [True]


def test_sigterm_ends_a_follower_clean(weed, new_address, version, deployed, tmp_path):
    place = open_place(new_address(weed))
    place.publish(version)
    file = deployed(str(place.address))
    command = [sys.executable, "-m", "tfs_deploy", "pull", str(file), "--follow", "--every", "0.2s", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        place.publish(version)
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    assert [step["pulled"]["version"] for step in (first, second)] == [1, 2]
    base = tmp_path / "models/digits"
    assert numbers(base) == ["1", "2"]
    assert verify_manifest(base / "2") == []
