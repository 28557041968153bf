# SPDX-License-Identifier: Apache-2.0
"""The distribution API as registries differ in it, each by a few answers, without a network."""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Callable

import httpx
import pytest

from tfs_deploy.deployment.address import parse_address
from tfs_deploy.errors import EnvironmentFault, TfsDeployError, VerdictError
from tfs_deploy.store.places.oci.registry import Gone, Registry
from tfs_deploy.store.places.retry import Patience

QUICK = Patience(attempts=3, first_wait=0.001, longest_wait=0.002, silence=0.5)
BLOB = bytes(range(256)) * 8
DIGEST = f"sha256:{hashlib.sha256(BLOB).hexdigest()}"
Handler = Callable[[httpx.Request], httpx.Response]


class Sent(httpx.SyncByteStream):
    """A body as it comes over a connection, which may be cut after some bytes."""

    def __init__(self, data: bytes, cut: int | None = None) -> None:
        self._data, self._cut = data[:cut], cut

    def __iter__(self):
        yield from (self._data[start : start + 64] for start in range(0, len(self._data), 64))
        if self._cut is not None:
            raise httpx.RemoteProtocolError("peer closed")


@pytest.fixture
def answered(monkeypatch, tmp_path):
    """Makes a function answer all requests, and returns a registry; requests are kept in ``registry.seen``."""
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    auth = base64.b64encode(b"me:s3cret").decode()
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"host": {"auth": auth}, "docker.io": {}}}))

    def make(handler: Handler, address: str = "oci://host/models/digits") -> Registry:
        seen: list[httpx.Request] = []

        def handle(_: httpx.HTTPTransport, request: httpx.Request) -> httpx.Response:
            request.read()
            seen.append(request)
            made = handler(request)
            if not made.is_stream_consumed:
                return made
            return httpx.Response(made.status_code, headers=made.headers, stream=Sent(made.content))

        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
        registry = Registry(parse_address(address), QUICK)
        registry.seen = seen  # type: ignore[attr-defined]
        return registry

    return make


def error(status: int, code: str = "", **headers: str) -> httpx.Response:
    body = {"errors": [{"code": code, "message": "s3cret-message"}]} if code else "<html>s3cret-message</html>"
    return httpx.Response(status, json=body, headers=headers)


def test_pages_of_tags_are_followed(answered):
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.params.get("last") == "2":
            return httpx.Response(200, json={"name": "digits", "tags": ["10", "latest"]})
        link = '</v2/models/digits/tags/list?n=1000&last=2>; rel="next"'
        return httpx.Response(200, json={"tags": ["1", "2"]}, headers={"Link": link})

    assert answered(handle).tags() == ["1", "2", "10", "latest"]


def test_a_page_that_follows_itself_is_the_last_one(answered):
    again = httpx.Headers({"Link": '</v2/models/digits/tags/list?n=1000&last=1>; rel="next"'})
    registry = answered(lambda _: httpx.Response(200, json={"tags": ["1"]}, headers=again))
    assert set(registry.tags()) == {"1"}
    assert len(registry.seen) == 2


@pytest.mark.parametrize("body", [{"tags": None}, {"name": "digits", "tags": []}])
def test_a_repository_may_have_no_tags(answered, body):
    assert answered(lambda _: httpx.Response(200, json=body)).tags() == []


def test_a_repository_that_is_not_there_has_no_tags_but_another_server_is_no_registry(answered):
    assert answered(lambda _: error(404, "NAME_UNKNOWN")).tags() == []
    with pytest.raises(EnvironmentFault, match="oci://host/models/digits does not exist"):
        answered(lambda _: error(404)).tags()
    with pytest.raises(EnvironmentFault, match="gave an answer that is not valid"):
        answered(lambda _: httpx.Response(200, text="welcome")).tags()


def test_docker_hub_is_reached_where_it_is(answered):
    registry = answered(lambda _: httpx.Response(200, json={"tags": []}), "oci://docker.io/digits")
    registry.tags()
    assert str(registry.seen[0].url).startswith("https://registry-1.docker.io/v2/library/digits/tags/list")


@pytest.mark.parametrize(
    ("address", "allowed", "base"),
    [
        ("oci://host/digits", "", "https://host/"),
        ("oci://host:443/digits", "", "https://host/"),
        ("oci://localhost:5000/digits", "", "http://localhost:5000/"),
        ("oci://127.0.0.2:5000/digits", "", "http://127.0.0.2:5000/"),
        ("oci://[::1]:5000/digits", "", "http://[::1]:5000/"),
        ("oci://10.0.0.1:5000/digits", "", "https://10.0.0.1:5000/"),
        ("oci://localhost.example/digits", "", "https://localhost.example/"),
        ("oci://host:5000/digits", "other, host:5000", "http://host:5000/"),
        ("oci://host:5000/digits", "host", "http://host:5000/"),
        ("oci://host:5000/digits", "host:5001", "https://host:5000/"),
    ],
)
def test_plain_http_is_for_this_machine_and_what_is_named(answered, monkeypatch, address, allowed, base):
    monkeypatch.setenv("TFS_DEPLOY_PLAIN_HTTP", allowed)
    registry = answered(lambda _: httpx.Response(200, json={"tags": []}), address)
    registry.tags()
    assert str(registry.seen[0].url).startswith(base)


@pytest.mark.parametrize("location", ["http://elsewhere/blob", "/v2/x"])
def test_nothing_leads_to_a_place_without_tls(answered, location):
    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, headers={"Location": location.replace("/v2/x", "http://host/v2/x")})
        return httpx.Response(307, headers={"Location": "http://elsewhere/blob"})

    registry = answered(handle)
    for request in (
        lambda: list(registry.blob(DIGEST, 0, 5)),
        lambda: registry.put_blob(DIGEST, 3, lambda: iter([b"abc"])),
    ):
        with pytest.raises(EnvironmentFault, match=r"oci://host leads to \w+ without TLS") as raised:
            request()
        assert "TFS_DEPLOY_PLAIN_HTTP=" in str(raised.value.hint)
    assert {request.url.scheme for request in registry.seen} == {"https"}


def test_basic_credentials_are_sent_once_they_are_asked_for_and_to_nobody_else(answered):
    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.host == "blobs.example":
            return httpx.Response(200, content=BLOB)
        if "Authorization" not in request.headers:
            return httpx.Response(401, headers={"WWW-Authenticate": 'Basic realm="models"'})
        return httpx.Response(307, headers={"Location": "https://blobs.example/x?X-Amz-Signature=s3cret"})

    registry = answered(handle)
    assert b"".join(registry.blob(DIGEST, 0, len(BLOB))) == BLOB
    assert [request.url.host for request in registry.seen] == ["host", "host", "blobs.example"]
    assert "Authorization" not in registry.seen[2].headers


def bearer(request: httpx.Request) -> httpx.Response:
    """Answer as a registry with a server of tokens, of which each is good for one kind of access."""
    if request.url.host == "auth.example":
        asked = dict(httpx.QueryParams(request.content.decode())) if request.method == "POST" else request.url.params
        assert asked["service"] == "registry"
        known = request.headers.get("Authorization") == f"Basic {base64.b64encode(b'me:s3cret').decode()}"
        if known or asked.get("refresh_token") == "1dentity":
            return httpx.Response(200, json={"token": f"of {asked['scope']}"})
        return error(401, "UNAUTHORIZED")
    scope = f"repository:models/digits:{'pull' if request.method == 'GET' else 'pull,push'}"
    if not request.headers.get("Authorization", "").startswith(f"Bearer of {scope}"):
        wants = f'Bearer realm="https://auth.example/token",service="registry",scope="{scope}"'
        return error(401, "UNAUTHORIZED", **{"WWW-Authenticate": wants})
    return httpx.Response(200 if request.method == "GET" else 201, json={"tags": ["7"]})


def test_tokens_are_fetched_for_what_is_done_and_kept(answered):
    registry = answered(bearer)
    assert registry.tags() == registry.tags() == ["7"]
    assert registry.put_manifest("7", b"{}") is None
    assert registry.tags() == ["7"], "who may push may pull"
    hosts = [request.url.host for request in registry.seen]
    assert hosts == ["host", "auth.example", "host", "host", "host", "auth.example", "host", "host"]


def test_an_identity_token_is_traded_for_a_token(answered, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"host": {"identitytoken": "1dentity"}}}))
    assert answered(bearer).tags() == ["7"]


@pytest.mark.parametrize(
    ("config", "message", "hint"),
    [
        ({}, "oci://host wants credentials for listing versions, and there are none", "docker login host"),
        (
            {"host": {"auth": "bWU6b3RoZXItczNjcmV0"}},
            "oci://host refuses the credentials of .*config.json",
            "docker login",
        ),
    ],
)
def test_missing_and_wrong_credentials_are_told(answered, tmp_path, config, message, hint):
    (tmp_path / "config.json").write_text(json.dumps({"auths": config}))
    with pytest.raises(EnvironmentFault, match=message) as raised:
        answered(bearer).tags()
    assert hint in str(raised.value.hint)
    assert "s3cret" not in f"{raised.value}{raised.value.__cause__}"


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ([error(500)] * 3, r"failed \(500\) while listing versions"),
        ([error(503, "UNAVAILABLE")] * 3, r"failed \(UNAVAILABLE\)"),
        ([error(429, "TOOMANYREQUESTS")] * 3, "slows this caller down"),
        ([error(429, "TOOMANYREQUESTS", **{"Retry-After": "3600"})], "slows this caller down"),
        ([error(403, "DENIED")], "wants credentials"),
        ([error(400)], r"refuses the request while listing versions \(400\)"),
        ([error(405)], "does not offer what listing versions needs"),
        ([httpx.InvalidURL("s3cret")], "leads to an address that is not valid while listing versions"),
        ([httpx.ReadTimeout("")] * 3, "did not answer in time"),
        ([httpx.ConnectError("refused")] * 3, "cannot be reached"),
        ([httpx.RemoteProtocolError("peer closed")] * 3, "lost the connection"),
        ([httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] s3cret")], "the certificate of oci://host"),
        ([httpx.ConnectError("[SSL: WRONG_VERSION_NUMBER] wrong")], "does not speak TLS"),
    ],
)
def test_each_failure_is_a_sentence_after_as_many_attempts_as_can_help(answered, answers, message):
    left = list(answers)

    def handle(_: httpx.Request) -> httpx.Response:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    with pytest.raises(TfsDeployError, match=message) as raised:
        answered(handle).tags()
    assert left == []
    assert raised.value.hint
    assert raised.value.retriable is (len(answers) > 1 or "slows" in message)
    assert "s3cret" not in f"{raised.value}{raised.value.__cause__}"


def test_what_passes_is_tried_again_after_the_wait_that_is_asked_for(answered, monkeypatch):
    waits: list[float] = []
    monkeypatch.setattr("tfs_deploy.store.places.retry.time.sleep", waits.append)
    answers = [error(429, "TOOMANYREQUESTS", **{"Retry-After": "7"}), httpx.Response(200, json={"tags": ["7"]})]
    registry = answered(lambda _: answers.pop(0))
    assert registry.tags() == ["7"]
    assert (waits, registry.requests.retried) == ([7.0], 1)


@pytest.mark.parametrize("ranges", [True, False])
def test_a_blob_that_is_cut_goes_on_where_it_was_cut(answered, ranges):
    cuts = iter([100, 0, 700])

    def handle(request: httpx.Request) -> httpx.Response:
        start, stop = map(int, request.headers["Range"].removeprefix("bytes=").split("-"))
        data = BLOB[start : stop + 1] if ranges else BLOB
        return httpx.Response(206 if ranges else 200, stream=Sent(data, next(cuts, None)))

    registry = answered(handle)
    assert b"".join(registry.blob(DIGEST, 10, 2000)) == BLOB[10:2000]
    assert registry.requests.retried == 3
    assert b"".join(registry.blob(DIGEST, 5, 5)) == b""


def test_a_blob_that_is_too_short_is_lost_and_one_that_is_gone_is_gone(answered):
    with pytest.raises(EnvironmentFault, match="lost the connection while reading files"):
        list(answered(lambda _: httpx.Response(206, content=b"")).blob(DIGEST, 0, 9))
    with pytest.raises(Gone):
        list(answered(lambda _: error(404, "BLOB_UNKNOWN")).blob(DIGEST, 0, 9))
    with pytest.raises(EnvironmentFault, match="not valid while reading a publication"):
        answered(lambda _: httpx.Response(200, content=b"other")).small_blob(DIGEST, 5)


def test_an_upload_goes_where_the_registry_says_with_the_query_that_it_gave(answered):
    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, headers={"Location": "/v2/models/digits/blobs/uploads/1?_state=a%3D"})
        assert request.headers["Content-Length"] == str(len(BLOB))
        return httpx.Response(201)

    registry = answered(handle)
    registry.put_blob(DIGEST, len(BLOB), lambda: iter([BLOB[:5], BLOB[5:]]))
    put = registry.seen[-1]
    assert (put.url.params["_state"], put.url.params["digest"], put.content) == ("a=", DIGEST, BLOB)


def test_a_file_that_changes_while_it_is_sent_is_told(answered):
    def handle(request: httpx.Request) -> httpx.Response:
        if request.method == "POST":
            return httpx.Response(202, headers={"Location": "/upload"})
        return error(400, "DIGEST_INVALID")

    with pytest.raises(VerdictError, match="a file changed while it was published"):
        answered(handle).put_blob(DIGEST, 3, lambda: iter([b"abc"]))


@pytest.mark.parametrize(("status", "code"), [(405, "UNSUPPORTED"), (400, "UNSUPPORTED")])
def test_a_registry_may_not_let_versions_be_removed(answered, status, code):
    assert answered(lambda _: error(status, code)).delete_manifest(DIGEST) is False
    assert answered(lambda _: httpx.Response(202)).delete_manifest(DIGEST) is True
    assert answered(lambda _: error(404, "MANIFEST_UNKNOWN")).delete_manifest(DIGEST) is True
    with pytest.raises(TfsDeployError, match="refuses the request"):
        answered(lambda _: error(400, "OTHER")).delete_manifest(DIGEST)


def test_the_digest_of_a_tag_is_read_from_the_manifest_where_the_header_is_missing(answered):
    assert answered(lambda _: httpx.Response(200, content=BLOB)).digest("7") == DIGEST
    assert (
        answered(lambda _: httpx.Response(200, headers={"Docker-Content-Digest": "sha256:a"})).digest("7") == "sha256:a"
    )
    assert answered(lambda _: httpx.Response(404)).digest("7") is None


def test_nothing_of_a_caller_is_logged(answered, caplog):
    caplog.set_level(logging.DEBUG)

    def handle(request: httpx.Request) -> httpx.Response:
        if request.url.host == "blobs.example":
            return httpx.Response(200, content=BLOB)
        if "Authorization" not in request.headers:
            return httpx.Response(401, headers={"WWW-Authenticate": 'Basic realm="models"'})
        return httpx.Response(307, headers={"Location": "https://blobs.example/x?X-Amz-Signature=s3cret"})

    assert b"".join(answered(handle).blob(DIGEST, 0, len(BLOB))) == BLOB
    assert "s3cret" not in caplog.text
