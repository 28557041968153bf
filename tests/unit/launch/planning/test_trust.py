# SPDX-License-Identifier: Apache-2.0
"""Which versions of a deployment are judged, and that nothing is read where nothing is asked."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from support import signing
from tfs_deploy.deployment.deployment import Deployment, Model, VersionPolicy
from tfs_deploy.errors import VerdictError
from tfs_deploy.launch.planning import trust
from tfs_deploy.store.identity import identify


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    """Version 1 is signed, version 2 is not; both are served."""
    private, public = signing.write_key(tmp_path, "ci")
    version = signing.write_version(tmp_path)
    shutil.copytree(version, version.with_name("2"))
    signing.sign_all(version, private)
    model = Model("plain", tmp_path / "plain", VersionPolicy.specific([1, 2]), {}, {})
    return Deployment("shop", tmp_path / "shop.yaml", tmp_path / "state", (model,), trust=(public,))


def serving(deployment: Deployment, *versions: int, **changes) -> Deployment:
    model = replace(deployment.models[0], version_policy=VersionPolicy.specific(versions))
    return replace(deployment, models=(model,), **changes)


def test_only_what_the_server_would_serve_is_judged(deployment):
    assert list(trust.untrusted(serving(deployment, 1))) == []
    (error,) = trust.untrusted(deployment)
    assert isinstance(error, VerdictError)
    assert error.message.endswith("plain/2 is not trusted: assets.extra/signature.json is missing")
    with pytest.raises(VerdictError, match="plain/2 is not trusted"):
        trust.require_all_trusted(deployment)


def test_a_revoked_version_is_refused_also_without_trust(deployment):
    digest = identify(deployment.models[0].base_path / "1").digest
    (error,) = trust.untrusted(serving(deployment, 1, revoked=(digest,)))
    assert f"digest {digest[:16]} is revoked" in str(error)
    assert list(trust.untrusted(serving(deployment, 1, trust=(), revoked=("0" * 64,)))) == []


def test_a_key_that_cannot_be_used_is_told_once(deployment, tmp_path):
    (error,) = trust.untrusted(replace(deployment, trust=(tmp_path / "none.pem",)))
    assert "none.pem does not exist" in str(error)


def test_without_trust_no_file_is_read(deployment, monkeypatch):
    monkeypatch.setattr(trust, "list_versions", None)
    assert list(trust.untrusted(replace(deployment, trust=()))) == []
