# SPDX-License-Identifier: Apache-2.0
"""The format of a signature: a Sigstore bundle around a DSSE envelope around an in-toto statement. Pure, no keys.

Sources: ``model-signing`` 1.1.1 (predicate v1.0), github.com/in-toto/attestation/blob/main/spec/v1,
github.com/secure-systems-lab/dsse/blob/v1.0.0/protocol.md, docs.sigstore.dev/about/bundle. The reader is strict:
what no signature covers (the outer keys, the spelling of base64) has one form, so that every changed byte shows.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.text import parse_document

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MEDIA_TYPE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Final = "https://model_signing/signature/v1.0"
_LONGEST_CHAIN: Final = 10
_SHA256: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Bundle:
    """A signature as it lies in its file: what was signed, and by whom it says that it was.

    ``hint``: sha256 (hex) of the public key's PEM text, ``None`` for a signature made with a certificate; ``chain``:
    the signing certificate and those above it, in DER.
    """

    payload: bytes
    signature: bytes
    hint: str | None = None
    chain: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Statement:
    """What is signed: a name, path -> sha256 (hex), and the paths that the signer left out on purpose."""

    name: str
    sums: dict[str, str]
    ignored: tuple[str, ...] = ()


def signed_bytes(payload: bytes) -> bytes:
    """Return the bytes that a signature over this payload is made of (DSSE's pre-authentication encoding)."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def write_statement(statement: Statement) -> bytes:
    """Return the payload that says these sums, in the order of ``model-signing``: by the parts of the paths."""
    names = sorted(statement.sums, key=lambda name: PurePosixPath(name).parts)
    resources = [{"name": name, "algorithm": "sha256", "digest": statement.sums[name]} for name in names]
    serialization: dict[str, Any] = {"method": "files", "hash_type": "sha256", "allow_symlinks": False}
    if statement.ignored:
        serialization["ignore_paths"] = list(statement.ignored)
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": statement.name, "digest": {"sha256": _root(statement.sums[name] for name in names)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {"serialization": serialization, "resources": resources},
    }
    return json.dumps(document, separators=(",", ":")).encode()


def read_statement(payload: bytes) -> Statement:
    """Return what a payload says; ``ValueError`` says what in it is not v1.0, or not by files and sha256."""
    document = _object(parse_document(payload), "the statement")
    _require(document, "_type", STATEMENT_TYPE)
    _require(document, "predicateType", PREDICATE_TYPE)
    subjects = _list(document.get("subject"), "subject")
    if len(subjects) != 1:
        raise ValueError(f"it has {len(subjects)} subjects instead of one")
    subject = _object(subjects[0], "the subject")
    predicate = _object(document.get("predicate"), "predicate")
    serialization = _object(predicate.get("serialization"), "serialization")
    _require(serialization, "method", "files")
    _require(serialization, "hash_type", "sha256")
    ignored = [_text(path, "a path of ignore_paths") for path in _list(serialization.get("ignore_paths", []), "paths")]
    sums: dict[str, str] = {}
    for each in _list(predicate.get("resources"), "resources"):
        resource = _object(each, "a resource")
        name = _path(_text(resource.get("name"), "the name of a resource"))
        _require(resource, "algorithm", "sha256")
        if name in sums:
            raise ValueError(f"it lists {name!r} twice")
        sums[name] = _sha256(resource.get("digest"), f"the digest of {name!r}")
    root = _sha256(_object(subject.get("digest"), "the digest of the subject").get("sha256"), "the root digest")
    if _root(sums.values()) != root:
        raise ValueError("its root digest is not that of its resources")
    return Statement(_text(subject.get("name"), "the name of the subject"), sums, tuple(ignored))


def write_bundle(bundle: Bundle) -> str:
    """Return the text of a signature's file."""
    certificates = [{"rawBytes": _encode(der)} for der in bundle.chain]
    by = {"x509CertificateChain": {"certificates": certificates}} if certificates else {"publicKey": _hint(bundle)}
    document = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {**by, "tlogEntries": []},
        "dsseEnvelope": {
            "payload": _encode(bundle.payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": _encode(bundle.signature), "keyid": ""}],
        },
    }
    return json.dumps(document, separators=(",", ":"))


def read_bundle(data: bytes) -> Bundle:
    """Return a signature as its file says it; ``ValueError`` says what in it is not such a bundle."""
    document = _object(parse_document(data), "the bundle", ("mediaType", "verificationMaterial", "dsseEnvelope"))
    _require(document, "mediaType", MEDIA_TYPE)
    envelope = _object(document.get("dsseEnvelope"), "dsseEnvelope", ("payload", "payloadType", "signatures"))
    _require(envelope, "payloadType", PAYLOAD_TYPE)
    signatures = _list(envelope.get("signatures"), "signatures")
    if len(signatures) != 1:
        raise ValueError(f"it holds {len(signatures)} signatures instead of one")
    signature = _object(signatures[0], "the signature", ("sig", "keyid"))
    _require(signature, "keyid", "", default="")
    hint, chain = _material(document.get("verificationMaterial"))
    payload, raw = _decode(envelope.get("payload"), "payload"), _decode(signature.get("sig"), "sig")
    return Bundle(payload, raw, hint, chain)


def _material(found: Any) -> tuple[str | None, tuple[bytes, ...]]:
    """Return the hint of a key, or a certificate chain, whichever a bundle names."""
    if isinstance(found, dict) and "certificate" in found:
        raise ValueError("it is a keyless signature of Sigstore, and only keys and certificate chains are known")
    material = _object(found, "verificationMaterial", ("publicKey", "x509CertificateChain", "tlogEntries"))
    if material.get("tlogEntries", []) != []:
        raise ValueError("tlogEntries is not empty: entries of a transparency log are not known")
    if ("publicKey" in material) == ("x509CertificateChain" in material):
        raise ValueError("verificationMaterial names not one of publicKey and x509CertificateChain")
    if "publicKey" in material:
        key = _object(material["publicKey"], "publicKey", ("hint",))
        return _sha256(key.get("hint"), "the hint of publicKey"), ()
    chain = _object(material["x509CertificateChain"], "x509CertificateChain", ("certificates",))
    certificates = _list(chain.get("certificates"), "certificates")
    if not 1 <= len(certificates) <= _LONGEST_CHAIN:
        raise ValueError(f"its chain holds {len(certificates)} certificates, not 1 to {_LONGEST_CHAIN}")
    found_in = [_object(each, "a certificate", ("rawBytes",)) for each in certificates]
    return None, tuple(_decode(each.get("rawBytes"), "rawBytes") for each in found_in)


def _hint(bundle: Bundle) -> dict[str, str]:
    return {} if bundle.hint is None else {"hint": bundle.hint}


def _root(digests: Any) -> str:
    return hashlib.sha256(b"".join(bytes.fromhex(digest) for digest in digests)).hexdigest()


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: Any, what: str) -> bytes:
    if not isinstance(text, str):
        raise ValueError(f"{what} is not a text")  # noqa: TRY004 - every fault of a document is one kind
    try:
        data = base64.b64decode(text.encode(), validate=True)
    except ValueError as error:
        raise ValueError(f"{what} is not base64") from error
    if _encode(data) != text:
        raise ValueError(f"{what} is not base64 as it is written")
    return data


def _require(document: Mapping[str, Any], key: str, value: str, *, default: Any = None) -> None:
    found = document.get(key, default)
    if found != value:
        raise ValueError(f"{key} is {found!r}, and only {value!r} is known")


def _object(value: Any, what: str, keys: Sequence[str] = ()) -> dict[str, Any]:
    """Return an object; ``keys``: those that it may have, any if empty."""
    if not isinstance(value, dict):
        raise ValueError(f"{what} is not an object")  # noqa: TRY004
    unknown = [key for key in value if keys and key not in keys]
    if unknown:
        raise ValueError(f"{what} has the unknown key {unknown[0]!r}")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{what} is not a list")  # noqa: TRY004
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is not a text")  # noqa: TRY004
    return value


def _sha256(value: Any, what: str) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise ValueError(f"{what} is not a sha256")
    return value


def _path(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name:
        raise ValueError(f"{name!r} is not a path below the version directory")
    return name
