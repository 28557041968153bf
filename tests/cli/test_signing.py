# SPDX-License-Identifier: Apache-2.0
"""Signing on the command line: ``verify --sign``, ``publish --sign``, ``inspect`` and ``verify --trust``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from support import signing
from tfs_deploy.cli.main import run
from tfs_deploy.savedmodel import layout
from tfs_deploy.store.identity import identify
from tfs_deploy.store.signing.trust import require_trusted


def call(*words: str | Path) -> int:
    return run([*map(str, words)])


@pytest.fixture
def staged(tmp_path: Path) -> Path:
    return signing.write_version(tmp_path / "staged")


def test_a_version_is_verified_signed_published_shown_and_checked(staged, tmp_path, capsys):
    private, public = signing.write_key(tmp_path, "ci")
    _, other = signing.write_key(tmp_path, "other")
    report, base = tmp_path / "verified", tmp_path / "plain"
    assert call("verify", staged, "--only", "files", "--report", report, "--sign", private) == 0
    assert (report / "verdict.sig.json").is_file()
    signing.verdict_about(staged, report)  # with the groups load and smoke, which need a server
    (report / "verdict.sig.json").unlink()
    capsys.readouterr()
    words = ("--to", base, "--require-verdict", report, "--sign", private)
    assert call("publish", staged, *words, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    found = require_trusted(base / "1", [public])
    assert found is not None
    assert document["signed_by"] == found.files.as_dict() == found.verdict.as_dict()
    assert call("publish", staged, *words) == 0
    assert f"  signed by key {found.files.key[:16]}\n" in capsys.readouterr().out
    assert call("inspect", base, "--check", "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    for key in ("signed_by", "verdict_signed_by"):
        assert shown[key] == {**found.files.as_dict(), "problem": None}
    assert call("inspect", base) == 0
    assert f"files: signed by key {found.files.key[:16]}" in capsys.readouterr().out
    check = ("verify", base / "1", "--only", "files", "--json", "--trust")
    assert call(*check, public) == 0
    verdicts = [each for each in json.loads(capsys.readouterr().out)["checks"] if each["id"] == "files.signature"]
    assert [(each["status"], each["reason"]) for each in verdicts] == [("passed", f"signed by {found.files}")]
    assert call(*check, other) == 1
    assert "files.signature" in capsys.readouterr().err


def test_a_verdict_keeps_the_signature_of_whoever_verified(staged, tmp_path):
    """Publishing may be another's job than verifying; the keys of both have to be trusted then."""
    judge, judge_public = signing.write_key(tmp_path, "judge")
    maker, maker_public = signing.write_key(tmp_path, "maker")
    report = tmp_path / "verified"
    assert call("verify", staged, "--only", "files", "--report", report, "--sign", judge) == 0
    signing.verdict_about(staged, tmp_path / "new")
    shutil.copy(tmp_path / "new/verdict.json", report)
    from tfs_deploy.store.signing.sign import open_signer, sign_verdict

    sign_verdict(report, open_signer(judge))
    assert call("publish", staged, "--to", tmp_path / "m", "--require-verdict", report, "--sign", maker) == 0
    found = require_trusted(tmp_path / "m/1", [judge_public, maker_public])
    assert found is not None
    assert found.files != found.verdict


def test_a_newer_verdict_does_not_keep_the_signature_of_the_older(staged, tmp_path):
    private, _ = signing.write_key(tmp_path, "ci")
    report = signing.verdict_about(staged, tmp_path / "verified").parent
    assert call("publish", staged, "--to", tmp_path / "m", "--require-verdict", report, "--sign", private) == 0
    assert call("publish", tmp_path / "m/1", "--to", tmp_path / "m", "--require-verdict", report) == 0
    assert not (tmp_path / "m/2" / layout.VERDICT_SIGNATURE).exists()
    assert (tmp_path / "m/2" / layout.SIGNATURE).is_file()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("publish", "STAGED", "--to", "m", "--certificate", "chain.pem"), "--certificate needs --sign"),
        (("publish", "STAGED", "--to", "m", "--sign", "none.pem"), "the signing key none.pem does not exist"),
        (("verify", "STAGED", "--sign", "none.pem"), "--sign needs --report"),
        (("verify", "STAGED", "--trust", "none.pem"), "the trusted key none.pem does not exist"),
    ],
)
def test_a_mistake_is_told_before_anything_happens(words, said, staged, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert call(*(staged if word == "STAGED" else word for word in words)) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "m").exists()


def test_a_damaged_signature_is_shown_as_such(staged, tmp_path, capsys):
    private, _ = signing.write_key(tmp_path, "ci")
    assert call("publish", staged, "--to", tmp_path / "m", "--sign", private) == 0
    assert "without a verdict" in capsys.readouterr().out
    path = tmp_path / "m/1" / layout.SIGNATURE
    path.write_text(path.read_text()[:100])
    assert call("inspect", tmp_path / "m") == 0
    assert "files: it is not a valid signature" in capsys.readouterr().out


def test_verify_obeys_trust_and_revoked_of_the_deployment_file(staged, tmp_path, capsys):
    private, public = signing.write_key(tmp_path, "ci")
    _, other = signing.write_key(tmp_path, "other")
    file = tmp_path / "shop.yaml"

    def signature(*words: object, **keys: object) -> tuple[int, str]:
        document = {"name": "shop", "models": [{"name": "plain", "base_path": "staged/plain"}], **keys}
        file.write_text(json.dumps(document))
        code = call("verify", file, "--only", "files", *words, "--json")
        checks = json.loads(capsys.readouterr().out)["checks"]
        return code, "".join(each["reason"] for each in checks if each["id"] == "files.signature")

    trusting = {"trust": [public.name]}
    assert signature() == (0, "")
    code, reason = signature(**trusting)
    assert (code, "assets.extra/signature.json is missing" in reason) == (1, True), reason
    assert signature("--skip", "files.signature", **trusting)[0] == 0
    signing.sign_all(staged, private)
    code, reason = signature(**trusting)
    assert (code, reason.startswith("signed by key ")) == (0, True), reason
    code, reason = signature("--trust", other, **trusting)
    assert (code, "is not trusted" in reason) == (1, True), "the keys of the line are taken instead"
    digest = identify(staged).digest
    for more in ({}, trusting):
        code, reason = signature(**more, revoked=[digest])
        assert (code, f"its digest {digest[:16]} is revoked" in reason) == (1, True), reason
        assert signature(**more, revoked=["0" * 64])[0] == 0


def test_the_keys_of_a_deployment_file_are_checked_by_config_and_doctor(staged, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")  # with or without an engine on this machine
    Path("shop.yaml").write_text(
        "name: shop\nmodels: [{name: plain, base_path: staged/plain, versions: {specific: [1]}}]\ntrust: [ci.pem]\n"
    )
    assert call("config", "shop.yaml", "--check") == 2
    assert "shop.yaml:3: trust[0]: " in (text := capsys.readouterr().err)
    assert "ci.pem cannot be read: No such file" in text
    private, public = signing.write_key(tmp_path, "ci")
    assert call("config", "shop.yaml", "--check") == 0
    call("doctor", "shop.yaml", "--json")
    found = {each["id"]: each["level"] for each in json.loads(capsys.readouterr().out.strip())["findings"]}
    assert found["trust.1"] == "ok"
    assert call("config", "shop.yaml", "--out", "served") == 1
    assert "plain/1 is not trusted" in capsys.readouterr().err
    assert not Path("served").exists()
    damaged = public.read_text().splitlines()
    public.write_text("\n".join([damaged[0], damaged[1][:-8], *damaged[2:]]))
    assert call("config", "shop.yaml", "--check") == 2
    assert "ci.pem is not a valid trusted key" in capsys.readouterr().err
    private.rename(public)
    assert call("config", "shop.yaml", "--check") == 2
    assert "holds a private key" in capsys.readouterr().err
