# SPDX-License-Identifier: Apache-2.0
"""Who may vouch for a version: keys, certificates, revoked digests, and every way to change what was signed."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from support import signing
from tfs_deploy.errors import UsageError, VerdictError
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.manifest import verify_manifest
from tfs_deploy.store.identity import identify
from tfs_deploy.store.signing import keys
from tfs_deploy.store.signing.sign import open_signer, sign_version, take_verdict
from tfs_deploy.store.signing.trust import require_signed, require_trusted

RECORDED = Path(__file__).parents[3] / "data/signing"


@pytest.fixture(scope="module")
def pem(tmp_path_factory) -> Path:
    """A folder with the key pairs a and b."""
    folder = tmp_path_factory.mktemp("keys")
    signing.write_key(folder, "a")
    signing.write_key(folder, "b")
    return folder


@pytest.fixture(scope="module")
def signed(pem, tmp_path_factory) -> Path:
    """A version that the key a signed, with its verdict: copy it to change it."""
    version = signing.write_version(tmp_path_factory.mktemp("signed"))
    signing.sign_all(version, pem / "a.private.pem")
    return version


@pytest.fixture
def version(signed, tmp_path) -> Path:
    return shutil.copytree(signed, tmp_path / "plain/1")


def test_one_of_the_trusted_keys_is_enough_so_that_keys_can_be_rotated(signed, pem):
    found = require_trusted(signed, [pem / "b.pem", pem / "a.pem"])
    assert found is not None
    assert found.files == found.verdict
    assert found.files.key == keys.load_signer(pem / "a.private.pem").by.key
    assert require_trusted(signed, []) is None


def test_attestations_are_not_files_of_the_manifest_and_do_not_change_the_digest(signed, tmp_path):
    plain = signing.write_version(tmp_path)
    shutil.copy(signed / layout.MANIFEST, plain / layout.MANIFEST)
    assert verify_manifest(signed) == []
    assert identify(signed) == identify(plain)
    for folder in (signed, plain):
        (shutil.copytree(folder, tmp_path / folder.parent.parent.name) / layout.MANIFEST).unlink()
    assert identify(tmp_path / signed.parent.parent.name) == identify(tmp_path / plain.parent.parent.name)


def test_what_another_key_signed_is_refused_and_both_are_named(signed, pem):
    with pytest.raises(
        VerdictError, match=r"signature.json: it is signed by key \w{16}, but only key \w{16} is trusted"
    ):
        require_trusted(signed, [pem / "b.pem"])


def test_the_verdict_needs_a_trusted_key_too(version, pem):
    (version / layout.VERDICT_SIGNATURE).unlink()
    take_verdict(RECORDED / "verdict.json", version)
    with pytest.raises(VerdictError, match=r"verdict\.sig\.json is missing"):
        require_trusted(version, [pem / "a.pem"])
    take_verdict(RECORDED / "verdict.json", version, open_signer(pem / "b.private.pem"))
    with pytest.raises(VerdictError, match=r"verdict\.sig\.json: it is signed by key"):
        require_trusted(version, [pem / "a.pem"])
    with pytest.raises(VerdictError, match=r"the verdict .* is about other files"):
        require_trusted(version, [pem / "a.pem", pem / "b.pem"])


def test_a_signed_no_is_a_no(tmp_path, pem):
    version = signing.write_version(tmp_path)
    signing.sign_all(version, pem / "a.private.pem", ok=False)
    with pytest.raises(VerdictError, match="says no"):
        require_trusted(version, [pem / "a.pem"])


def test_a_signature_of_the_version_does_not_stand_for_one_of_the_verdict(version, pem):
    shutil.copy(version / layout.SIGNATURE, version / layout.VERDICT_SIGNATURE)
    with pytest.raises(VerdictError, match=r"verdict\.sig\.json is not about a verdict"):
        require_trusted(version, [pem / "a.pem"])


def test_files_that_were_signed_but_not_verified_are_refused(version, pem):
    """The verdict is bound to the manifest: with other files under it, it would vouch for what nothing has checked."""
    (version / "fingerprint.pb").write_bytes(b"other")
    sign_version(version, open_signer(pem / "a.private.pem"), "plain")
    with pytest.raises(VerdictError, match=r"fingerprint\.pb is not what assets\.extra/tfs_deploy\.json says"):
        require_trusted(version, [pem / "a.pem"])


@pytest.mark.parametrize("trusted", [True, False])
def test_a_revoked_digest_is_refused_signed_or_not(signed, pem, trusted):
    digest = identify(signed).digest
    with pytest.raises(VerdictError, match=f"its digest {digest[:16]} is revoked"):
        require_trusted(signed, [pem / "a.pem"] if trusted else [], ["0" * 64, digest])
    require_trusted(signed, [pem / "a.pem"] if trusted else [], ["0" * 64])


@pytest.mark.parametrize(("by", "anchor"), [("key", "key.pem"), ("certificate", "root.pem")])
def test_what_model_signing_signed_is_accepted(tmp_path, by, anchor):
    """Bundles recorded by data/signing/make_bundles.py; model-signing itself runs in the long form."""
    version = shutil.copytree(signing.PLAIN, tmp_path / "1")
    (version / "assets.extra").mkdir()
    for name, target in (("signature", layout.SIGNATURE), ("verdict.sig", layout.VERDICT_SIGNATURE)):
        shutil.copy(RECORDED / f"{by}.{name}.json", version / target)
    shutil.copy(RECORDED / "verdict.json", version / layout.VERDICT)
    found = require_trusted(version, [RECORDED / anchor])
    assert found is not None
    assert found.files.subject == (None if by == "key" else "CN=own")
    (version / ".gitignore").write_text("*")  # which model-signing leaves out, and says so
    require_signed(version, [RECORDED / anchor])
    (version / "notes").write_text("*")
    with pytest.raises(VerdictError, match="notes is not signed"):
        require_trusted(version, [RECORDED / anchor])


def test_a_git_folder_is_not_left_out_unless_the_signer_said_so(version, pem):
    (version / ".gitignore").write_text("*")
    with pytest.raises(VerdictError, match=r"\.gitignore is not signed"):
        require_trusted(version, [pem / "a.pem"])


class Chain:
    """An authority, one below it, and a signer's certificate."""

    def __init__(self, folder: Path, **leaf) -> None:
        self.root_key, self.root = signing.authority(folder, "root", days=2)
        self.key, self.public = signing.write_key(folder, "leaf")
        between_key, _ = signing.write_key(folder, "between")
        root = (self.root_key, self.root)
        between = signing.write_certificate(folder, "between", between_key, issuer=root, is_authority=True)
        own = signing.write_certificate(folder, "leaf", self.key, issuer=(between_key, between), **leaf)
        self.chain = folder / "chain.pem"
        self.chain.write_bytes(own.read_bytes() + between.read_bytes())
        self.own = own


def test_a_chain_leads_from_the_signer_to_a_trusted_authority(tmp_path):
    chain = Chain(tmp_path)
    version = signing.write_version(tmp_path)
    signing.sign_all(version, chain.key, chain.chain)
    for anchor in (chain.root, chain.own, chain.public):
        found = require_trusted(version, [anchor])
        assert found is not None
        assert found.files.subject == "CN=leaf"
    _, stranger = signing.authority(tmp_path, "stranger")
    with pytest.raises(VerdictError, match="no trusted certificate issued CN=between"):
        require_trusted(version, [stranger])


def test_an_authority_of_the_same_name_is_another_one(tmp_path):
    chain = Chain(tmp_path)
    version = signing.write_version(tmp_path)
    signing.sign_all(version, chain.key, chain.chain)
    (tmp_path / "other").mkdir()
    _, namesake = signing.authority(tmp_path / "other", "root")
    with pytest.raises(VerdictError, match="no trusted certificate issued CN=between"):
        require_trusted(version, [namesake])


def test_an_expired_certificate_no_longer_vouches_and_does_not_sign(tmp_path, monkeypatch):
    chain = Chain(tmp_path, days=-1)
    with pytest.raises(UsageError, match="the certificate CN=leaf expired on"):
        open_signer(chain.key, chain.chain)
    version = signing.write_version(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(keys, "validity_problem", lambda certificate, now: None)
        signing.sign_all(version, chain.key, chain.chain)
    with pytest.raises(VerdictError, match="the certificate CN=leaf expired on"):
        require_trusted(version, [chain.root])


def test_a_certificate_for_something_else_does_not_vouch(tmp_path):
    chain = Chain(tmp_path, signs=False)
    version = signing.write_version(tmp_path)
    signing.sign_all(version, chain.key, chain.chain)
    with pytest.raises(VerdictError, match="CN=leaf is not for signing"):
        require_trusted(version, [chain.root])


def test_a_signer_does_not_become_an_authority(tmp_path):
    """Whoever has a certificate for signing cannot issue another that counts."""
    root = signing.authority(tmp_path, "root")
    signer_key, _ = signing.write_key(tmp_path, "signer")
    signer = signing.write_certificate(tmp_path, "signer", signer_key, issuer=root)
    key, _ = signing.write_key(tmp_path, "forged")
    forged = signing.write_certificate(tmp_path, "forged", key, issuer=(signer_key, signer))
    chain = tmp_path / "chain.pem"
    chain.write_bytes(forged.read_bytes() + signer.read_bytes())
    version = signing.write_version(tmp_path)
    signing.sign_all(version, key, chain)
    with pytest.raises(VerdictError, match="CN=signer is not one of an authority"):
        require_trusted(version, [root[1]])


# Bad keys


def test_every_bad_signing_key_is_told_in_one_sentence(tmp_path, monkeypatch, pem):
    locked, _ = signing.write_key(tmp_path, "locked", passphrase="open sesame")
    other, _ = signing.write_key(tmp_path, "other", curve=ec.SECP256K1())
    cut = tmp_path / "cut.pem"
    cut.write_bytes((pem / "a.private.pem").read_bytes()[:90] + b"\n-----END PRIVATE KEY-----\n")
    for path, message in (
        (tmp_path / "none.pem", "the signing key .* does not exist"),
        (pem / "a.pem", "holds no private key"),
        (cut, "is not a valid private key"),
        (other, "is not an ECDSA key of the curve"),
        (locked, "is encrypted"),
    ):
        with pytest.raises(UsageError, match=message):
            open_signer(path)
    monkeypatch.setenv(keys.PASSPHRASE, "wrong")
    with pytest.raises(UsageError, match="the passphrase is wrong") as caught:
        open_signer(locked)
    assert "wrong" not in str(caught.value.hint)
    monkeypatch.setenv(keys.PASSPHRASE, "open sesame")
    open_signer(locked)
    open_signer(pem / "a.private.pem")  # which needs none
    chain = Chain(tmp_path)
    with pytest.raises(UsageError, match="is not that of the key"):
        open_signer(pem / "a.private.pem", chain.chain)
    with pytest.raises(UsageError, match="is not a certificate chain"):
        open_signer(chain.key, chain.key)


def test_every_bad_trusted_key_is_told_in_one_sentence(tmp_path, signed, pem):
    both = tmp_path / "both.pem"
    both.write_bytes((pem / "a.pem").read_bytes() + (pem / "b.pem").read_bytes())
    text = tmp_path / "text.pem"
    text.write_bytes(b"\xff\x00 hello")
    _, koblitz = signing.write_key(tmp_path, "koblitz", curve=ec.SECP256K1())
    for path, message in (
        (tmp_path / "none.pem", "the trusted key .* does not exist"),
        (pem / "a.private.pem", "holds a private key, which only the signer should have"),
        (both, "holds several keys"),
        (text, "it is not a public key or certificate in PEM"),
        (koblitz, "its key is not an ECDSA key of the curve"),
    ):
        with pytest.raises(UsageError, match=message):
            require_trusted(signed, [path])


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()])
def test_the_larger_curves_work_too(tmp_path, curve):
    private, public = signing.write_key(tmp_path, "large", curve=curve)
    version = signing.write_version(tmp_path)
    signing.sign_all(version, private)
    require_trusted(version, [public])


# Changes of what was signed


def _change(data: bytes, dice: random.Random) -> bytes:
    """Change one byte, cut the end off, repeat a part or take one out."""
    at = dice.randrange(len(data))
    kind = dice.choice(("flip", "flip", "replace", "cut", "repeat", "drop"))
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1 :]
    if kind == "replace":
        return data[:at] + dice.randbytes(1).replace(data[at : at + 1], b"~~") + data[at + 1 :]
    if kind == "cut":
        return data[:at]
    if kind == "repeat":
        return data[: at + 1] + data[at:]
    return data[:at] + data[at + 1 :]


def _outer(document: dict, dice: random.Random) -> dict:
    """Change one value of a bundle that no signature covers, or that it does, keeping valid JSON."""
    envelope, material = document["dsseEnvelope"], document["verificationMaterial"]
    change: Callable[[], object] = dice.choice(
        [
            lambda: document.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.2"),
            lambda: document.update(extra=1),
            lambda: document.pop("verificationMaterial"),
            lambda: material.update(publicKey={"hint": "0" * 64}),
            lambda: material.update(publicKey={}),
            lambda: material.update(publicKey=None),
            lambda: material.update(tlogEntries=[{}]),
            lambda: material.update(x509CertificateChain={"certificates": []}),
            lambda: material.update(certificate={"rawBytes": ""}),
            lambda: material.update(publicKey=["hint"]),
            lambda: envelope.update(payloadType="text/plain"),
            lambda: envelope.update(payload=[]),
            lambda: envelope.update(payload=envelope["payload"][:-4]),
            lambda: envelope.update(payload=envelope["payload"] + "\n"),
            lambda: envelope.update(signatures=[]),
            lambda: envelope.update(signatures=envelope["signatures"] * 2),
            lambda: envelope["signatures"][0].update(keyid="other"),
            lambda: envelope["signatures"][0].update(sig=""),
            lambda: envelope["signatures"][0].update(sig=7),
        ]
    )
    change()
    return document


@pytest.mark.parametrize("seed", range(300))
def test_every_change_is_refused_by_the_name_of_what_differs(signed, pem, tmp_path, seed):
    dice = random.Random(seed)
    version = shutil.copytree(signed, tmp_path / "1")
    files = sorted(path for path in version.rglob("*") if path.is_file())
    names = [path.relative_to(version).as_posix() for path in files]
    bundles = (layout.SIGNATURE, layout.VERDICT_SIGNATURE)
    kind = ("content", "content", "bundle", "document", "lose", "add", "rename", "link")[seed % 8]
    name = dice.choice(bundles) if kind in ("bundle", "document") else dice.choice(names)
    path = version / name
    if kind in ("content", "bundle"):
        before = path.read_bytes()
        while (after := _change(before, dice)) == before:
            pass
        path.write_bytes(after)
    elif kind == "document":
        path.write_text(json.dumps(_outer(json.loads(path.read_bytes()), dice), separators=(",", ":")))
    elif kind == "lose":
        path.unlink()
    elif kind == "add":
        name = dice.choice(("assets/extra", "assets.extra/more.json", "0", "variables/variables.data-00001-of-00002"))
        (version / name).parent.mkdir(exist_ok=True)
        (version / name).write_bytes(dice.randbytes(3))
    elif kind == "rename":
        path.rename(path.with_name("other"))
    else:
        shutil.copy(path, tmp_path / "elsewhere")
        path.unlink()
        path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(VerdictError) as caught:
        require_trusted(version, [pem / "a.pem"])
    said = caught.value.message
    if kind == "rename":
        assert name in said or "other" in said
    else:
        assert name in said
    assert "\n" not in said
    assert caught.value.hint
