# SPDX-License-Identifier: Apache-2.0
"""The format: ours is the one of ``model-signing``, as recorded, and as the package itself takes it (long form)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import signing
from tfs_deploy.savedmodel import layout
from tfs_deploy.store.signing.bundle import Statement, read_bundle, read_statement, write_bundle, write_statement
from tfs_deploy.store.signing.hashes import hash_files
from tfs_deploy.store.signing.sign import SIGNATURE_NAME, open_signer, sign_verdict, sign_version
from tfs_deploy.store.signing.trust import require_trusted

RECORDED = Path(__file__).parents[3] / "data/signing"
BUNDLES = sorted(RECORDED.glob("*.*.json"))
PACKAGES = ("model-signing==1.1.1", "pyOpenSSL==24.3.0")


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: path.name)
def test_a_recorded_bundle_is_written_as_it_was_read(path):
    text = path.read_text()
    bundle = read_bundle(text.encode())
    assert write_bundle(bundle) == text
    theirs = json.loads(bundle.payload)
    assert theirs == json.loads(write_statement(read_statement(bundle.payload)))


def test_the_sums_are_those_of_the_recorded_bundle():
    statement = read_statement(read_bundle((RECORDED / "key.signature.json").read_bytes()).payload)
    assert statement.sums == hash_files(signing.PLAIN)


def test_paths_are_ordered_by_their_parts_as_model_signing_does():
    sums = dict.fromkeys(("variables-x", "variables/a", "a"), "00" * 32)
    names = [each["name"] for each in json.loads(write_statement(Statement("m", sums)))["predicate"]["resources"]]
    assert names == ["a", "variables/a", "variables-x"]


def changed(**predicate) -> bytes:
    document = json.loads(write_statement(Statement("m", {"a": "00" * 32})))
    for key, value in predicate.items():
        place = document if key in document else document["predicate"]
        place[key] = value(place[key])
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (changed(predicateType=lambda _: "https://model_signing/Digests/v0.1"), "predicateType is .*v0.1'"),
        (changed(_type=lambda _: "other"), "_type is 'other'"),
        (changed(subject=lambda _: []), "0 subjects"),
        (changed(resources=lambda found: found * 2), "it lists 'a' twice"),
        (changed(resources=lambda _: []), "its root digest is not that of its resources"),
        (changed(resources=lambda found: [{**found[0], "name": "../a"}]), "is not a path below"),
        (changed(resources=lambda found: [{**found[0], "name": "/a"}]), "is not a path below"),
        (changed(resources=lambda found: [{**found[0], "algorithm": "blake3"}]), "algorithm is 'blake3'"),
        (changed(serialization=lambda found: {**found, "method": "shards"}), "method is 'shards'"),
        (changed(serialization=lambda _: None), "serialization is not an object"),
        (b"[" * 100_000, "nested too deeply"),
        (b"\xff", "codec can't decode"),
    ],
)
def test_a_statement_that_says_something_else_is_refused(payload, message):
    with pytest.raises(ValueError, match=message):
        read_statement(payload)


@pytest.fixture(scope="module")
def model_signing(tmp_path_factory) -> Path:
    """The command of the package, in an environment of its own: it needs an older cryptography than ours."""
    folder = tmp_path_factory.mktemp("model-signing") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin/python", "-m", "pip", "install", "-q", "--no-input", "--disable-pip-version-check"]
    installed = subprocess.run([*pip, *PACKAGES], capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"model-signing cannot be installed: {installed.stderr[-200:]}")
    return folder / "bin/model_signing"


@pytest.mark.full
@pytest.mark.timeout(600)
def test_model_signing_accepts_ours_and_we_accept_its(model_signing, tmp_path):
    private, public = signing.write_key(tmp_path, "key")
    root = signing.authority(tmp_path, "root")
    own = signing.write_certificate(tmp_path, "key", private, issuer=root)
    version = signing.write_version(tmp_path)
    (version / "variables-x").write_text("between two parts of a path")
    (version / "assets").mkdir(exist_ok=True)
    (version / "assets/größe ü.txt").write_text("")
    (version / layout.MANIFEST).unlink()
    folder = tmp_path / "verified"
    signing.verdict_about(version, folder)
    shutil.copy(folder / "verdict.json", version / layout.VERDICT)

    def run(*words: object) -> str:
        done = subprocess.run([model_signing, *map(str, words)], capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stdout + done.stderr

    by_key = ["verify", "key", "--public_key", public]
    by_chain = ["verify", "certificate", "--certificate_chain", root[1]]
    for chain, how, anchor in ((None, by_key, public), (own, by_chain, root[1])):
        signer = open_signer(private, chain)
        sign_version(version, signer, "plain")
        shutil.copy(sign_verdict(folder, signer), version / layout.VERDICT_SIGNATURE)
        require_trusted(version, [anchor])
        for about, signature in ((version, version / layout.SIGNATURE), (folder, folder / SIGNATURE_NAME)):
            assert run(*how, about, "--signature", signature) == ""
        (version / "saved_model.pb").rename(version / "moved.pb")
        assert "saved_model.pb" in run(*how, version, "--signature", version / layout.SIGNATURE)
        (version / "moved.pb").rename(version / "saved_model.pb")
    for words, anchor in (
        (["key"], public),
        (["certificate", "--signing_certificate", own, "--certificate_chain", root[1]], root[1]),
    ):
        attestations = [word for name in layout.ATTESTATIONS for word in ("--ignore-paths", version / name)]
        out = version / layout.SIGNATURE
        sign = ["sign", *words, "--private_key", private]
        assert run(*sign, *attestations, version, "--signature", out) == ""
        (folder / SIGNATURE_NAME).unlink(missing_ok=True)
        assert run(*sign, folder, "--signature", folder / SIGNATURE_NAME) == ""
        shutil.copy(folder / SIGNATURE_NAME, version / layout.VERDICT_SIGNATURE)
        require_trusted(version, [anchor])
