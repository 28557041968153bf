# SPDX-License-Identifier: Apache-2.0
"""What object stores promise beyond a directory: resuming, cleaning, one winner, few requests."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.faulty_proxy import FaultyProxy
from tfs_deploy.errors import EnvironmentFault, ModelError, UsageError, VerdictError
from tfs_deploy.store.places.objects import ObjectPlace
from tfs_deploy.store.places.opened import open_place
from tfs_deploy.store.places.pull import pull_version
from tfs_deploy.store.places.retry import Patience

QUICK = Patience(attempts=2, first_wait=0.001, longest_wait=0.002, silence=0.3)
PATIENT = Patience(attempts=12, first_wait=0.001, longest_wait=0.01)


def objects(address: str, patience: Patience | None = None) -> ObjectPlace:
    place = open_place(address, patience)
    assert isinstance(place, ObjectPlace)
    return place


def through(monkeypatch, store, proxy: FaultyProxy) -> None:
    for key, value in store.through(proxy.port).items():
        monkeypatch.setenv(key, value)


def test_an_upload_that_was_cut_off_is_resumed_and_not_sent_again(store, new_address, version, monkeypatch):
    place = objects(new_address(store))
    put, count = place.put_file, [0]

    def fail_at_the_fourth(*given, parts):
        count[0] += 1
        if count[0] >= 4:
            raise EnvironmentFault("the machine went down")
        put(*given, parts=parts)

    monkeypatch.setattr(place, "put_file", fail_at_the_fourth)
    with pytest.raises(EnvironmentFault, match="went down"):
        place.publish(version)
    assert place.versions() == {}
    assert place.clean(3600) == [], "what is young may be an upload under way"
    monkeypatch.setattr(place, "put_file", put)
    done = place.publish(version)
    # the smallest file is sent in any case, so that the folder is a young one again
    assert (done.there, done.sent) in {(2, len(done.publication.files) - 2), (3, len(done.publication.files) - 3)}
    assert place.clean(0) == []
    assert place.versions().keys() == {1}


def test_a_file_that_is_there_already_is_compared_all_the_same(weed, new_address, version):
    place = objects(new_address(weed))
    place.publish(version)
    place.delete(["published/1.json"])
    (version / "assets/.hidden").write_text("y")
    with pytest.raises(VerdictError, match=r"\.hidden has changed since the export"):
        place.publish(version)
    assert place.versions() == {}


def test_what_was_abandoned_is_removed_by_age_and_what_is_published_stays(store, new_address, version, make):
    place = objects(new_address(store))
    place.publish(version)
    other = place.publish(make("other"))
    place.delete(["published/2.json"])  # as one whose publisher died before its end
    assert place.clean(3600) == []
    assert place.clean(0) == [other.publication.folder]
    assert place.sizes(other.publication.folder) == {}
    assert len(place.sizes(place.publication(1).folder)) == len(other.publication.files)


@pytest.mark.parametrize("rounds", [1, pytest.param(100, marks=[pytest.mark.full, pytest.mark.timeout(1800)])])
def test_publishers_of_one_number_have_one_winner(store, new_address, make, rounds):
    publishers = 32
    versions = [make(f"v{index}") for index in range(publishers)]
    digests = {}
    for _ in range(rounds):
        address = new_address(store)
        start = threading.Barrier(publishers)

        def publish(index, address=address, start=start):
            place = objects(address)
            start.wait(60)
            try:
                return place.publish(versions[index], 5).publication.digest
            except UsageError as error:
                assert "version 5 already exists" in error.message  # noqa: PT017 - in a thread
                assert "published by " in error.message  # noqa: PT017
                return None

        with ThreadPoolExecutor(publishers) as pool:
            won = [digest for digest in pool.map(publish, range(publishers)) if digest]
        place = objects(address)
        assert won == [place.publication(5).digest]
        assert set(place.folders()) >= {place.publication(5).folder}
        digests[won[0]] = address
    for address in digests.values():
        place = objects(address)
        publication = place.publication(5)
        assert place.sizes(publication.folder) == {name: entry.size for name, entry in publication.files.items()}


def test_publishers_without_a_number_get_numbers_without_gaps(store, new_address, make):
    address = new_address(store)
    versions = [make(f"v{index}") for index in range(4)]
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda source: objects(address).publish(source).publication.number, versions))
    assert sorted(done) == [1, 2, 3, 4]
    place = objects(address)
    assert place.clean(0) == [], "a publisher that lost a number removes what it had sent under it"


def test_an_answer_that_is_lost_after_the_publication_is_no_conflict(weed, new_address, version, monkeypatch):
    with FaultyProxy(weed.port) as proxy:
        through(monkeypatch, weed, proxy)
        place = objects(new_address(weed), PATIENT)
        put = place.put_publication

        def lose_the_first(publication):
            proxy.loses = 1.0
            before = len(proxy.seen)
            waiting = threading.Thread(target=lambda: _stop_losing(proxy, before))
            waiting.start()
            try:
                return put(publication)
            finally:
                waiting.join()

        monkeypatch.setattr(place, "put_publication", lose_the_first)
        assert place.publish(version, 5).publication.number == 5
        assert place.retries >= 1


def _stop_losing(proxy: FaultyProxy, before: int) -> None:
    deadline = threading.Event()
    while len(proxy.seen) <= before and not deadline.wait(0.001):
        pass
    proxy.loses = 0.0


@pytest.mark.parametrize("versions", [4, pytest.param(100, marks=pytest.mark.full)])
def test_every_version_arrives_through_a_network_that_fails_and_cuts(
    weed, new_address, version, tmp_path, monkeypatch, versions
):
    with FaultyProxy(weed.port) as proxy:
        through(monkeypatch, weed, proxy)
        proxy.fails, proxy.cuts = 0.2, 0.05
        place = objects(new_address(weed), PATIENT)
        for number in range(1, versions + 1):
            assert place.publish(version).publication.number == number
            pulled = pull_version(place, number, tmp_path / "models/digits")
            assert pulled.pulled
        assert 0 < proxy.failed <= place.retries


def test_few_requests_are_made(weed, new_address, version, tmp_path, monkeypatch):
    with FaultyProxy(weed.port) as proxy:
        through(monkeypatch, weed, proxy)
        place = objects(new_address(weed))
        files = len(place.publish(version).publication.files)
        assert len(proxy.seen) == files + 4, "two LISTs before, the publication and one LIST after"
        proxy.seen.clear()
        pull_version(place, 1, tmp_path / "models/digits")
        assert len(proxy.seen) == files + 1
        proxy.seen.clear()
        pull_version(place, 1, tmp_path / "models/digits")
        assert [method for method, _ in proxy.seen] == ["GET"], "one request if there is nothing to do"


def test_an_object_that_was_changed_or_is_missing_is_refused(weed, new_address, version, tmp_path):
    place = objects(new_address(weed))
    publication = place.publish(version).publication
    base = tmp_path / "models/digits"
    name = "assets/Wörter 語 %41.txt"
    key = f"{weed.root.removeprefix('s3://models')}{place._prefix}files/{publication.folder}/{name}"
    right = (version / name).read_bytes()
    for wrong in (b"x" * len(right), right[:-1], right + b"x"):
        place._obstore.put(place._store, key, wrong)
        with pytest.raises(VerdictError, match="is not what was published"):
            pull_version(place, 1, base)
        assert not base.exists()
    place.delete([f"files/{publication.folder}/{name}"])
    with pytest.raises(ModelError, match="is missing, though version 1 is published"):
        pull_version(place, 1, base)
    place._obstore.put(place._store, key, right)
    assert pull_version(place, 1, base).pulled


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ((b"saved_model.pb", b"../../etc/model"), "is not a valid publication"),
        ((b"saved_model.pb", b"/saved_model.p"), "is not a valid publication"),
        ((b'"kind"', b'"kin_"'), "another kind"),
        ((b'"format": 1', b'"format": 2'), "format 2 is unknown"),
        ((b'"number": 1', b'"number": 2'), "changed after it was written"),
        ((b"{", b"{{"), "is not a valid publication"),
    ],
)
def test_a_publication_that_was_changed_is_refused(weed, new_address, version, tmp_path, change, what):
    place = objects(new_address(weed))
    data = place.publish(version).publication.to_json()
    place._obstore.put(place._store, f"{place._prefix}published/1.json", data.replace(*change, 1))
    with pytest.raises(ModelError, match=what):
        pull_version(place, 1, tmp_path / "models/digits")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    ("status", "code", "what"),
    [
        (503, "SlowDown", "slows this caller down"),
        (500, "InternalError", r"failed \(InternalError\)"),
        (403, "SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        (403, "InvalidAccessKeyId", "AWS_ACCESS_KEY_ID"),
        (403, "AccessDenied", "do not permit"),
        (403, "RequestTimeTooSkewed", "the clock of this machine is wrong"),
        (400, "AuthorizationHeaderMalformed", "AWS_REGION"),
        (400, "ExpiredToken", "AWS_SESSION_TOKEN"),
        (404, "NoSuchBucket", "the bucket 'models' does not exist"),
    ],
)
def test_each_failure_is_a_sentence_that_shows_no_secret(weed, new_address, monkeypatch, status, code, what):
    with FaultyProxy(weed.port) as proxy:
        through(monkeypatch, weed, proxy)
        proxy.fails, proxy.status, proxy.code = 1.0, status, code
        place = objects(new_address(weed), QUICK)
        for request in (place.versions, lambda: place.publication(1)):
            with pytest.raises((EnvironmentFault, UsageError), match=what) as raised:
                request()
            shown = f"{raised.value} {raised.value.__cause__}"
            assert not any(secret in shown for secret in ("weed-secret", "weed-key", "secret-message", "Signature="))


def test_a_store_that_is_silent_or_down_is_told_in_time(weed, new_address, monkeypatch):
    with FaultyProxy(weed.port) as proxy:
        through(monkeypatch, weed, proxy)
        proxy.silent.set()
        with pytest.raises(EnvironmentFault, match="did not answer in time") as raised:
            objects(new_address(weed), QUICK).versions()
        assert raised.value.retriable
    with pytest.raises(EnvironmentFault, match="cannot be reached"):
        objects(new_address(weed), QUICK).versions()


def test_no_credentials_are_named_by_their_variable(weed, new_address, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://169.254.169.254")
    with pytest.raises(EnvironmentFault, match="AWS_ACCESS_KEY_ID is not set"):
        objects(new_address(weed), QUICK).versions()
