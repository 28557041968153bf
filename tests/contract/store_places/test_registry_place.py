# SPDX-License-Identifier: Apache-2.0
"""What a registry of images promises beyond a directory: resuming, credentials, few requests, one winner where told."""

from __future__ import annotations

import base64
import json
from functools import partial
from pathlib import Path

import pytest

from support import object_stores
from support.faulty_proxy import FaultyProxy
from tfs_deploy.errors import EnvironmentFault, ModelError, UsageError, VerdictError
from tfs_deploy.savedmodel.manifest import verify_manifest
from tfs_deploy.store.places.oci import place as oci_place
from tfs_deploy.store.places.oci.faults import Fault
from tfs_deploy.store.places.oci.layer import plan_layers
from tfs_deploy.store.places.oci.place import OciPlace
from tfs_deploy.store.places.opened import open_place
from tfs_deploy.store.places.pull import pull_version
from tfs_deploy.store.places.retry import Patience

PATIENT = Patience(attempts=12, first_wait=0.001, longest_wait=0.01)
QUICK = Patience(attempts=2, first_wait=0.001, longest_wait=0.002, silence=0.3)
#: ``me`` with the password ``s3cret-word`` (htpasswd -B)
USERS = "me:$2b$04$abcdefghijklmnopqrstuuzQDw2v3CQSMowG.sq3X.nH1lfmlmQMW\n"


def opened(address: str, patience: Patience | None = None) -> OciPlace:
    place = open_place(address, patience)
    assert isinstance(place, OciPlace)
    return place


def log_in(folder: Path, registry: str, password: str = "s3cret-word") -> None:
    folder.mkdir(exist_ok=True)
    auth = base64.b64encode(f"me:{password}".encode()).decode()
    (folder / "config.json").write_text(json.dumps({"auths": {registry: {"auth": auth}}}))


@pytest.fixture
def small_layers(monkeypatch):
    """Layers that end after each file but the smallest."""
    monkeypatch.setattr(oci_place, "plan_layers", partial(plan_layers, least=100))


def test_layers_that_are_there_are_not_sent_again(images, new_address, version, small_layers, monkeypatch):
    place = opened(new_address(images))
    put, count = place.registry.put_blob, [0]

    def fail_at_the_third(*given):
        count[0] += 1
        if count[0] >= 3:
            raise EnvironmentFault("the machine went down")
        put(*given)

    monkeypatch.setattr(place.registry, "put_blob", fail_at_the_third)
    with pytest.raises(EnvironmentFault, match="went down"):
        place.publish(version)
    assert place.versions() == {}
    monkeypatch.setattr(place.registry, "put_blob", put)
    done = place.publish(version)
    assert done.there >= 2
    assert done.there + done.sent == len(done.publication.files)
    place.remove(1)
    assert (place.publish(version).sent, place.publish(version).publication.number) == (0, 2)


def test_what_fails_at_any_request_is_published_whole_or_not_at_all(
    images, new_address, version, tmp_path, monkeypatch
):
    steps = 0
    for stop in range(1, 30):
        place, seen = opened(new_address(images)), [0]
        send = place.registry._send

        def fail(*given, send=send, seen=seen, stop=stop, **more):
            seen[0] += 1
            if seen[0] == stop:
                raise EnvironmentFault("the machine went down")
            return send(*given, **more)

        monkeypatch.setattr(place.registry, "_send", fail)
        try:
            place.publish(version)
            break
        except EnvironmentFault:
            steps += 1
        reader = opened(str(place.address))
        for number in reader.versions():
            assert verify_manifest(pull_version(reader, number, tmp_path / f"{stop}/digits").path) == []
        assert reader.publish(version).publication.number in (1, 2)
    assert steps >= 9


def test_files_are_read_out_of_several_layers(images, new_address, version, small_layers, tmp_path):
    place = opened(new_address(images))
    publication = place.publish(version).publication
    assert len(place._images) == 0
    assert verify_manifest(pull_version(opened(str(place.address)), 1, tmp_path / "models/digits").path) == []
    for name in publication.files:
        target = tmp_path / "one"
        place.fetch(publication, name, target)
        assert target.read_bytes() == (version / name).read_bytes()
        target.unlink()


def test_the_same_files_have_the_same_layers_and_config_wherever_they_come_from(images, new_address, version):
    first, second = (opened(new_address(images)) for _ in range(2))
    for place in (first, second):
        place.publish(version, 3)
    one, other = (json.loads(place.registry.manifest("3") or b"") for place in (first, second))
    assert (one["layers"], one["config"]) == (other["layers"], other["config"])


def test_few_requests_are_made(images, new_address, version, tmp_path):
    with FaultyProxy(images.port) as proxy:
        place = opened(new_address(images).replace(str(images.port), str(proxy.port)))
        place.publish(version)
        assert len(proxy.seen) == 10, "the tags; look, begin, put for layer and config; look, put, look for the tag"
        proxy.seen.clear()
        pull_version(place, 1, tmp_path / "models/digits")
        assert len(proxy.seen) == 3, "manifest, config and layer, however many files there are"
        proxy.seen.clear()
        pull_version(place, 1, tmp_path / "models/digits")
        assert len(proxy.seen) == 2


@pytest.mark.parametrize("versions", [4, pytest.param(100, marks=pytest.mark.full)])
def test_every_version_arrives_through_a_network_that_fails_and_cuts(
    images, new_address, version, small_layers, tmp_path, versions
):
    with FaultyProxy(images.port) as proxy:
        proxy.fails, proxy.cuts = 0.2, 0.05
        place = opened(new_address(images).replace(str(images.port), str(proxy.port)), PATIENT)
        for number in range(1, versions + 1):
            assert place.publish(version).publication.number == number
            assert pull_version(place, number, tmp_path / "models/digits").pulled
        assert 0 < proxy.failed <= place.retries


def test_a_publisher_whose_number_is_taken_meanwhile_is_told(images, new_address, make, monkeypatch):
    address = new_address(images)
    mine, theirs = opened(address), opened(address)
    put = mine.registry.put_manifest
    theirs.publish(make("theirs"), 5)
    crossing = theirs.registry.manifest("5")
    assert crossing is not None
    theirs.remove(5)

    def cross(tag, manifest):
        put(tag, manifest)
        return put(tag, crossing)

    monkeypatch.setattr(mine.registry, "put_manifest", cross)
    with pytest.raises(UsageError, match=r"version 5 already exists in oci://.*: published by"):
        mine.publish(make("mine"), 5)

    def cross_before(tag, manifest):
        theirs.publish(make("theirs-5"), 6)
        return put(tag, manifest)

    monkeypatch.setattr(mine.registry, "put_manifest", cross_before)
    assert mine.publish(make("mine-too"), 6).publication.number == 6, "the race that stays: the last one wins"
    monkeypatch.setattr(mine.registry, "put_manifest", put)
    monkeypatch.setattr(mine, "versions", dict)  # listed before the other one came
    with pytest.raises(UsageError, match=r"version 6 already exists in oci://.*: published by"):
        mine.publish(make("mine-again"), 6)


def test_a_registry_whose_tags_stay_has_one_winner(images, new_address, make, monkeypatch):
    mine, theirs = (opened(address) for address in [new_address(images)] * 2)

    def refuse(tag, manifest):
        theirs.publish(make("theirs"), 6)
        return Fault(400, "TAG_INVALID")

    monkeypatch.setattr(mine.registry, "put_manifest", refuse)
    with pytest.raises(UsageError, match="version 6 already exists"):
        mine.publish(make("mine"), 6)
    theirs.remove(6)
    monkeypatch.setattr(mine.registry, "put_manifest", lambda *_: Fault(400, "MANIFEST_INVALID"))
    with pytest.raises(EnvironmentFault, match=r"refuses the request while publishing \(MANIFEST_INVALID\)"):
        mine.publish(make("other"), 6)


def test_what_was_changed_in_the_registry_or_is_missing_is_refused(tmp_path, new_address, version, monkeypatch):
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    folder = tmp_path / "registry"
    folder.mkdir()
    with object_stores.registry(folder) as store:
        place = opened(new_address(store), QUICK)
        place.publish(version)
        digest = json.loads(place.registry.manifest("1") or b"")["layers"][0]["digest"].partition(":")[2]
        data = folder / f"data/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
        right = data.read_bytes()
        data.write_bytes(right.replace("naïve".encode(), b"naive!"))
        with pytest.raises(VerdictError, match=r"is not what was published: its sha256 differs"):
            pull_version(place, 1, tmp_path / "models/digits")
        data.write_bytes(right[:-2000])
        with pytest.raises(EnvironmentFault, match="while reading files"):
            pull_version(place, 1, tmp_path / "models/digits")
        data.unlink()
        with pytest.raises(ModelError, match=r"a blob of .* is missing, though it is published"):
            pull_version(place, 1, tmp_path / "models/digits")
        publication = place.publication(1)
        place.remove(1)
        with pytest.raises(ModelError, match=r"version 1 was removed from .* while it was read"):
            place.fetch(publication, "saved_model.pb", tmp_path / "one")
        assert not (tmp_path / "models").exists()


def test_an_image_of_another_kind_under_a_number_is_told(images, new_address, version, tmp_path):
    place = opened(new_address(images))
    manifest = json.loads(place.registry.manifest(str(place.publish(version).publication.number)) or b"")
    del manifest["artifactType"]
    assert place.registry.put_manifest("4", json.dumps(manifest).encode()) is None
    assert list(place.versions()) == [1, 4]
    with pytest.raises(ModelError, match=r"@4 is not a version that tfs-deploy published"):
        pull_version(place, None, tmp_path / "models/digits")
    with pytest.raises(ModelError, match=r"@4 is not a version that tfs-deploy published"):
        place.remove(4)
    assert place.publish(version).publication.number == 5


def test_a_registry_that_wants_credentials_gets_those_of_docker_login(
    tmp_path, new_address, version, monkeypatch, caplog
):
    docker = tmp_path / "docker"
    monkeypatch.setenv("DOCKER_CONFIG", str(docker))
    caplog.set_level("DEBUG")
    with object_stores.registry(tmp_path, users=USERS, deletes=False) as store:
        address = new_address(store)
        host = f"127.0.0.1:{store.port}"
        with pytest.raises(
            EnvironmentFault, match="wants credentials for listing versions, and there are none"
        ) as raised:
            open_place(address, QUICK).publish(version)
        assert f"docker login {host}" in str(raised.value.hint)
        log_in(docker, host, "wrong-word")
        with pytest.raises(EnvironmentFault, match=r"refuses the credentials of .*/config\.json"):
            open_place(address, QUICK).publish(version)
        log_in(docker, host)
        place = open_place(address)
        place.publish(version)
        assert pull_version(open_place(address), None, tmp_path / "models/digits").pulled
        with pytest.raises(EnvironmentFault, match="does not allow that versions are removed") as raised:
            place.remove(1)
        assert "REGISTRY_STORAGE_DELETE_ENABLED" in str(raised.value.hint)
        assert list(place.versions()) == [1]
    with pytest.raises(EnvironmentFault, match=f"oci://{host} cannot be reached"):
        open_place(address, QUICK).versions()
    assert not any(word in caplog.text for word in ("s3cret-word", "wrong-word", "Basic "))
