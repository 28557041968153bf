# SPDX-License-Identifier: Apache-2.0
"""What can go wrong on the way from a store to a base path, and is told before half a version is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.faulty_proxy import FaultyProxy
from support.signing import write_key, write_version
from tfs_deploy.cli.main import run
from tfs_deploy.errors import EnvironmentFault, TfsDeployError, UsageError, VerdictError
from tfs_deploy.savedmodel import layout
from tfs_deploy.savedmodel.formats.checked_json import with_checksum
from tfs_deploy.savedmodel.manifest import verify_manifest
from tfs_deploy.store.places.objects import ObjectPlace
from tfs_deploy.store.places.opened import open_place
from tfs_deploy.store.places.pull import pull_version
from tfs_deploy.store.places.retry import Lost, Patience

QUICK = Patience(attempts=2, first_wait=0.001, longest_wait=0.002)


def test_a_bucket_that_does_not_exist_is_named(store, version):
    place = open_place(f"{store.root}-which-is-missing/digits", QUICK)
    for request in (place.versions, lambda: place.publication(1), lambda: place.publish(version)):
        with pytest.raises(UsageError, match="'models-which-is-missing' does not exist"):
            request()


def test_a_disk_that_fills_up_while_a_version_arrives_is_told_and_nothing_is_left(weed, new_address, version, tmp_path):
    (version / "assets.extra/tfs_deploy.json").unlink()
    (version / "assets/large").write_bytes(bytes(1_000_000))
    places = [new_address(weed), str(tmp_path / "place/digits")]
    for place in places:
        open_place(place).publish(version)
    (tmp_path / "small").mkdir()
    command = [sys.executable, "-m", "support.pull_to_full_disk", str(tmp_path / "small"), *places]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    if child.returncode == 77:
        pytest.skip("needs a file system of its own: root, or user and mount namespaces")
    assert child.returncode == 0, child.stderr
    told = "no space left on the disk of BASE/digits | free some space; nothing was left behind True []"
    assert child.stdout.splitlines() == [told, told]


def test_an_object_that_is_replaced_while_it_is_read_is_refused(weed, new_address, version, tmp_path, monkeypatch):
    place = open_place(new_address(weed), QUICK)
    assert isinstance(place, ObjectPlace)
    publication = place.publish(version).publication
    name = "saved_model.pb"
    body, right = place._body, (version / name).read_bytes()
    key = f"{place._prefix}files/{publication.folder}/{name}"

    def cut_and_replaced(asked, start, entry):
        if asked == key and start == 0:
            yield right[:100]
            place._obstore.put(place._store, key, bytes(len(right)))
            raise Lost
        yield from body(asked, start, entry)

    monkeypatch.setattr(place, "_body", cut_and_replaced)
    with pytest.raises(VerdictError, match=r"saved_model\.pb is not what was published"):
        pull_version(place, 1, tmp_path / "models/digits")
    assert not (tmp_path / "models").exists()


def test_a_store_that_falls_silent_within_a_file_is_left_and_tried_again(weed, new_address, version, tmp_path):
    place = open_place(new_address(weed))
    place.publish(version)
    with FaultyProxy(weed.port) as proxy, pytest.MonkeyPatch.context() as patched:
        for key, value in weed.through(proxy.port).items():
            patched.setenv(key, value)
        proxy.stalls = 2
        through = open_place(place.address, Patience(first_wait=0.001, longest_wait=0.002, silence=2.0))
        assert verify_manifest(pull_version(through, 1, tmp_path / "models/digits").path) == []
        assert through.retries == 2
        proxy.stalls = 1000
        impatient = Patience(attempts=2, first_wait=0.001, silence=1.0)
        with pytest.raises(EnvironmentFault, match=r"did not answer in time|lost the connection") as raised:
            pull_version(open_place(place.address, impatient), 1, tmp_path / "other/digits")
        assert raised.value.retriable
    assert not (tmp_path / "other").exists()


def test_a_manifest_that_leads_elsewhere_is_not_published(weed, new_address, tmp_path):
    source = write_version(tmp_path / "made")
    place = open_place(new_address(weed))
    manifest = source / layout.MANIFEST
    document = json.loads(manifest.read_text())
    document["files"]["../../../stolen"] = {"sha256": "0" * 64, "size": 1}
    manifest.write_text(json.dumps(with_checksum(document)))
    with pytest.raises(TfsDeployError, match=r"'\.\./\.\./\.\./stolen' is not a path below"):
        place.publish(source)
    assert place.versions() == {}


@pytest.mark.parametrize("target", ["/etc/passwd", "../../other", "loop"])
def test_a_link_that_leads_out_of_a_version_is_not_published(weed, new_address, tmp_path, target):
    source = write_version(tmp_path / "made")
    (source / layout.MANIFEST).unlink()
    (tmp_path / "made/other").write_text("secret")
    (source / "loop").symlink_to(target)
    place = open_place(new_address(weed))
    with pytest.raises(UsageError, match="loop"):
        place.publish(source)
    assert place.versions() == {}


def test_a_trusted_key_that_is_missing_is_told_before_anything_is_fetched(weed, new_address, tmp_path, capsys):
    place = open_place(new_address(weed))
    place.publish(write_version(tmp_path / "made"))
    _, public = write_key(tmp_path, "ours")
    model = {"name": "digits", "base_path": "models/digits", "store": str(place.address)}
    file = tmp_path / "shop.yaml"
    file.write_text(json.dumps({"name": "shop", "models": [model], "trust": [public.name]}))
    public.unlink()
    with FaultyProxy(weed.port) as proxy, pytest.MonkeyPatch.context() as patched:
        for key, value in weed.through(proxy.port).items():
            patched.setenv(key, value)
        assert run(["pull", str(file)]) == 2
        assert "ours.pem does not exist" in capsys.readouterr().err
        assert not [path for _, path in proxy.seen if "/files/" in path]
    assert not (tmp_path / "models").exists()
