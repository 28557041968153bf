# SPDX-License-Identifier: Apache-2.0
"""Manifests: written, read, checked."""

from __future__ import annotations

import json

import pytest

from tfs_deploy.errors import ModelError
from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec
from tfs_deploy.savedmodel.manifest import (
    build_manifest,
    read_manifest,
    signature_digest,
    verify_manifest,
    write_manifest,
)


@pytest.fixture
def version(tmp_path):
    folder = tmp_path / "1"
    (folder / "variables").mkdir(parents=True)
    (folder / "saved_model.pb").write_bytes(b"graph")
    (folder / "variables" / "variables.index").write_bytes(b"index")
    write_manifest(
        folder, build_manifest(folder, signature_digest="ab", metadata={"accuracy": 0.97}, git_commit="c0ffee")
    )
    return folder


def test_round_trip(version) -> None:
    manifest = read_manifest(version)
    assert manifest is not None
    assert list(manifest.files) == ["saved_model.pb", "variables/variables.index"]
    assert manifest.files["saved_model.pb"].size == manifest.total_bytes - 5 == 5
    assert manifest.metadata == {"accuracy": 0.97}
    assert manifest.git_commit == "c0ffee"
    assert verify_manifest(version) == []
    again = read_manifest(version)
    assert again == manifest
    assert again.digest == manifest.digest


def test_a_version_without_manifest(tmp_path) -> None:
    assert read_manifest(tmp_path) is None
    with pytest.raises(ModelError, match=r"tfs_deploy\.json does not exist"):
        verify_manifest(tmp_path)


def test_every_kind_of_change_is_found(version) -> None:
    (version / "saved_model.pb").write_bytes(b"grapg")
    (version / "variables" / "variables.index").unlink()
    (version / "new").write_bytes(b"")
    found = {problem.path: problem.kind for problem in verify_manifest(version)}
    assert found == {"saved_model.pb": "changed", "variables/variables.index": "missing", "new": "unlisted"}


def test_size_is_compared_first(version) -> None:
    (version / "saved_model.pb").write_bytes(b"graph and more")
    assert "14 bytes instead of 5" in str(verify_manifest(version)[0])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"format": 2}',
        json.dumps({"format": 1, "files": []}),
        json.dumps(
            {"format": 1, "signature_digest": "", "created_at": "", "files": {"../x": {"sha256": "", "size": 1}}}
        ),
    ],
)
def test_damaged_manifests_are_named(version, text: str) -> None:
    path = version / "assets.extra" / "tfs_deploy.json"
    path.write_text(text)
    with pytest.raises(ModelError, match=r"tfs_deploy\.json is not a valid manifest"):
        read_manifest(version)


def test_the_signature_digest_depends_on_the_contract_alone() -> None:
    def digest(dtype: str = "float32", tensor: str = "x:0", shape: tuple[int | None, ...] = (None, 2)) -> str:
        spec = TensorSpec("x", dtype, shape, tensor)
        return signature_digest({"s": SignatureInfo("s", "tensorflow/serving/predict", {"x": spec}, {"y": spec})})

    assert digest() == digest(tensor="other:0")
    assert len({digest(), digest(dtype="int32"), digest(shape=(None, 3)), digest(shape=())}) == 4
