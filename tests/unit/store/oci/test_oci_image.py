# SPDX-License-Identifier: Apache-2.0
"""Manifests and configs of versions: what is written is read again, and what was changed is refused."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.manifest import FileEntry
from tfs_deploy.store.places.oci.image import config_blob, config_of, digest_of, folder_of, manifest_of, read_image
from tfs_deploy.store.places.oci.layer import plan_layers
from tfs_deploy.store.places.publication import Publication, folder_name

FILES = {"saved_model.pb": FileEntry("a" * 64, 300), "assets/é": FileEntry("c" * 64, 0)}
PUBLICATION = Publication(7, "d" * 64, "manifest", folder_name(7, FILES), FILES, "ann@host", "2026-01-01", "t")
LAYERS = plan_layers(7, FILES)
DIGESTS = [f"sha256:{'e' * 64}"]


def image(publication: Publication = PUBLICATION) -> tuple[bytes, bytes]:
    config = config_of(publication, LAYERS, DIGESTS)
    return manifest_of(publication, config, LAYERS, DIGESTS), config


def test_what_is_written_is_read_again():
    manifest, config = image()
    assert config_blob(manifest, "here").digest == digest_of(config)
    found = read_image(manifest, config, "here")
    assert found.publication == PUBLICATION
    assert [(layer, blob.digest) for layer, blob in found.layers] == [(LAYERS[0], DIGESTS[0])]
    assert folder_of(manifest) == PUBLICATION.folder


def test_runtimes_find_what_they_need():
    manifest, config = (json.loads(data) for data in image())
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    assert manifest["layers"][0]["mediaType"] == "application/vnd.oci.image.layer.v1.tar"
    assert config["rootfs"] == {"type": "layers", "diff_ids": DIGESTS}
    assert (config["os"], config["architecture"]) == ("linux", "amd64")


def test_the_config_does_not_depend_on_who_publishes_and_when():
    other = replace(PUBLICATION, publisher="bob@other", published_at="2027-01-01", token="u", tfs_deploy_version="9")
    assert image(other)[1] == image()[1]
    assert image(other)[0] != image()[0]


@pytest.mark.parametrize(
    "manifest",
    [
        {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []},
        {"schemaVersion": 2, "config": {"digest": DIGESTS[0], "size": 3}, "layers": []},
        {**json.loads(image()[0]), "annotations": None},
        {**json.loads(image()[0]), "annotations": {}},
        {**json.loads(image()[0]), "artifactType": "application/vnd.other"},
    ],
)
def test_an_image_of_another_kind_is_told(manifest):
    with pytest.raises(ModelError, match="not a version that tfs-deploy published"):
        config_blob(json.dumps(manifest).encode(), "here")
    assert folder_of(json.dumps({**manifest, "annotations": []}).encode()) == folder_of(b"{") == folder_of(b"[]") == ""


@pytest.mark.parametrize(
    ("which", "old", "new", "what"),
    [
        ("manifest", "{", "[[", "not a valid publication"),
        ("manifest", f'"size":{LAYERS[0].size}', f'"size":{LAYERS[0].size + 1}', "other sizes"),
        ("manifest", DIGESTS[0], "sha256:abc", "'sha256:abc' is not a valid digest"),
        ("manifest", '"layers":[{', '"layers":[1,{', "not a valid publication"),
        ("manifest", "ann@host", "bob@host", "changed after it was written"),
        ("manifest", '\\"token\\"', '\\"tokem\\"', "'token' is missing"),
        ("config", '"number":7', '"number":8', "changed after it was written"),
        ("config", '"files_in_layers":[2]', '"files_in_layers":[1]', "other files"),
        ("config", '"files_in_layers":[2]', '"files_in_layers":[null]', "not a valid publication"),
        ("config", '"files_in_layers":[2]', '"files_in_layers":2', "not a valid publication"),
        ("config", '"format":1', '"format":2', "format 2 is unknown"),
        ("config", '"tfs-deploy.publication":{', '"other":{', "'tfs-deploy.publication' is missing"),
    ],
)
def test_what_was_changed_is_refused(which, old, new, what):
    manifest, config = (data.decode() for data in image())
    changed = (manifest if which == "manifest" else config).replace(old, new, 1)
    assert changed not in (manifest, config), "the text to change is there"
    manifest, config = (changed, config) if which == "manifest" else (manifest, changed)
    with pytest.raises(ModelError, match="here is not a valid publication") as raised:
        read_image(manifest.encode(), config.encode(), "here")
    assert what in str(raised.value)


def test_a_config_that_is_too_large_is_not_fetched():
    manifest, config = image()
    with pytest.raises(ModelError, match="its config has"):
        config_blob(manifest.replace(f'"size":{len(config)}'.encode(), b'"size":99999999999'), "here")


@pytest.mark.parametrize("name", ["../assets", "/etc/x", "assets/../../x", "a//b", "."])
def test_names_that_lead_elsewhere_are_refused_whoever_published_them(name):
    files = {**FILES, name: FileEntry("b" * 64, 1)}
    manifest, config = image(replace(PUBLICATION, files=files, folder=folder_name(7, files)))
    with pytest.raises(ModelError, match="is not a path below the version"):
        read_image(manifest, config, "here")
