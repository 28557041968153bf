# SPDX-License-Identifier: Apache-2.0
"""Keys, certificates and verdicts for tests of signatures."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.manifest import build_manifest, signature_digest, write_manifest
from tfs_deploy.store.identity import identify
from tfs_deploy.store.signing.sign import open_signer, sign_verdict, sign_version, take_verdict
from tfs_deploy.store.verdict import KIND, SCHEMA_VERSION, write_verdict

PLAIN = Path(__file__).parents[1] / "data/verify/plain/1"


def write_key(
    folder: Path, name: str, *, passphrase: str | None = None, curve: ec.EllipticCurve | None = None
) -> tuple[Path, Path]:
    """Write a new key and return its two files, private and public."""
    key = ec.generate_private_key(curve or ec.SECP256R1())
    private, public = folder / f"{name}.private.pem", folder / f"{name}.pem"
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return private, public


def write_certificate(
    folder: Path,
    name: str,
    key: Path,
    *,
    issuer: tuple[Path, Path] | None = None,
    is_authority: bool = False,
    signs: bool = True,
    days: float = 1,
) -> Path:
    """Write the certificate of a key, issued by another one (its private key and certificate) or by itself.

    ``days``: for how long it is valid; negative: it expired that long ago.
    """
    own = load_pem_private_key(key.read_bytes(), None)
    assert isinstance(own, ec.EllipticCurvePrivateKey)
    by, named = own, x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issued_by = named
    if issuer is not None:
        loaded = load_pem_private_key(issuer[0].read_bytes(), None)
        assert isinstance(loaded, ec.EllipticCurvePrivateKey)
        by, issued_by = loaded, x509.load_pem_x509_certificate(issuer[1].read_bytes()).subject
    now = dt.datetime.now(dt.timezone.utc)
    usage = x509.KeyUsage(
        digital_signature=signs,
        key_cert_sign=is_authority,
        content_commitment=False,
        key_encipherment=not signs,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(issued_by)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(min(now, now + dt.timedelta(days=days)) - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .sign(by, hashes.SHA256())
    )
    path = folder / f"{name}.certificate.pem"
    path.write_bytes(certificate.public_bytes(Encoding.PEM))
    return path


def authority(folder: Path, name: str, *, days: float = 1) -> tuple[Path, Path]:
    """Write an authority and return its private key and its certificate."""
    key, _ = write_key(folder, name)
    return key, write_certificate(folder, name, key, is_authority=True, days=days)


def write_version(folder: Path) -> Path:
    """Write a version with a manifest into a folder and return its path."""
    version = folder / "plain/1"
    shutil.copytree(PLAIN, version)
    digest = signature_digest(inspect_model(version).signatures)
    write_manifest(version, build_manifest(version, signature_digest=digest))
    return version


def verdict_about(version: Path, folder: Path, *, ok: bool = True) -> Path:
    """Write a verdict about a version into a folder, as ``verify --report`` does, and return its path."""
    entry = {"name": "plain", "version": 1, "ok": ok, **identify(version).as_dict()}
    document = {
        "kind": KIND,
        "schema_version": SCHEMA_VERSION,
        "created_at": "2026-11-30T00:00:00+00:00",
        "ok": ok,
        "models": [entry],
        "checks": [],
        "left_out": [],
    }
    return write_verdict(document, folder)


def sign_all(version: Path, key: Path, certificates: Path | None = None, *, ok: bool = True) -> None:
    """Sign a version and a verdict about it, and put both into it, as ``publish`` does."""
    signer = open_signer(key, certificates)
    verdict_about(version, version.parent / "verified", ok=ok)
    sign_verdict(version.parent / "verified", signer)
    take_verdict(version.parent / "verified", version)
    shutil.rmtree(version.parent / "verified")
    sign_version(version, signer, "plain")
