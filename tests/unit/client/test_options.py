# SPDX-License-Identifier: Apache-2.0
"""Options of the clients over real sockets: headers, tokens, hooks, statistics, gzip, TLS, several targets."""

from __future__ import annotations

import asyncio
import gzip
import logging
import subprocess

import grpc
import numpy as np
import pytest

from tfs_deploy.client import AsyncClient, AsyncRestClient, Client, RestClient, Retries, Tls
from tfs_deploy.client.transport.addresses import split_addresses
from tfs_deploy.errors import (
    EnvironmentFault,
    RequestError,
    TfsDeployError,
    UnavailableError,
    UsageError,
    status_error,
)
from tfs_deploy.protos import methods

X = {"x": np.array([2, 4], np.float32)}


KINDS = {"grpc": Client, "rest": RestClient, "async-grpc": AsyncClient, "async-rest": AsyncRestClient}


class Seen:
    """A hook that keeps what it is told."""

    def __init__(self) -> None:
        self.started_headers = []
        self.records = []

    def started(self, record):
        record.headers["x-hook"] = "1"
        self.started_headers.append(dict(record.headers))

    def finished(self, record):
        self.records.append(record)


@pytest.fixture
def heard(tiny, rest_handler, monkeypatch):
    """The headers of each request that came in over REST."""
    found = []
    serve = rest_handler._serve

    def listen(self, body):
        found.append((dict(self.headers), body))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        serve(self, body)

    monkeypatch.setattr(rest_handler, "_serve", listen)
    return found


def run(kind, address, work, **options):
    """Do ``work`` with a client of one of the four kinds."""
    if not kind.startswith("async"):
        with KINDS[kind](address, **options) as client:
            return work(client), client

    async def awaited():
        async with KINDS[kind](address, **options) as client:
            return await work(client), client

    return asyncio.run(awaited())


@pytest.mark.parametrize("kind", KINDS)
def test_headers_and_tokens_are_sent(kind, grpc_listener, heard, rest_address):
    address, found = grpc_listener.address, grpc_listener.seen
    options = {"headers": {"X-Team": "vision"}, "token": lambda: "secret", "hooks": [Seen()]}
    over_rest = "rest" in kind
    run(
        kind,
        rest_address if over_rest else address,
        lambda c: c.predict("half", X, headers={"x-request-id": "7"}),
        **options,
    )
    got = heard[-1][0] if over_rest else found[-1]
    expected = {"x-team": "vision", "x-request-id": "7", "authorization": "Bearer secret", "x-hook": "1"}
    assert {name: got.get(name) for name in expected} == expected


@pytest.mark.parametrize(
    "headers", [{"bad name": "x"}, {"grpc-timeout": "1S"}, {"x": "é"}, {"x": 1}, {"a-bin": "x"}, {"content-type": "x"}]
)
def test_what_is_no_header(headers, grpc_address):
    with pytest.raises(UsageError):
        Client(grpc_address, headers=headers)
    with Client(grpc_address) as client, pytest.raises(UsageError):
        client.predict("half", X, headers=headers)


@pytest.mark.parametrize("kind", KINDS)
def test_hooks_and_statistics(kind, tiny, grpc_address, rest_address):
    hook = Seen()
    address = rest_address if "rest" in kind else grpc_address
    tiny.labels = {"stable": 1}
    _, client = run(kind, address, lambda c: c.predict("half", X), hooks=[hook], label="stable")
    (record,) = hook.records
    assert (record.method, record.model, record.label, record.status) == ("predict", "half", "stable", "OK")
    assert record.transport == kind.removeprefix("async-")
    assert record.version == (None if "rest" in kind else 1)
    assert record.attempts == 2  # metadata and predict
    assert record.bytes_sent > 0
    assert record.bytes_received > 0
    stats = client.stats()
    assert (stats.calls, stats.succeeded, stats.failed, stats.attempts) == (1, 1, {}, 2)
    assert 0 < stats.latency_p50 <= stats.latency_p99 <= stats.latency_max
    assert stats.latency_max == pytest.approx(record.seconds)


def test_failures_are_counted_by_status(tiny, grpc_address):
    hook = Seen()
    with Client(grpc_address, hooks=[hook], retries=1) as client:
        for call in (
            lambda: client.predict("half", {"z": 1}),
            lambda: client.predict("half", X, label="no"),
            lambda: client.predict("nosuch", X),
        ):
            with pytest.raises(TfsDeployError):
                call()
        assert client.stats().failed == {"RequestError": 1, "INVALID_ARGUMENT": 1, "NOT_FOUND": 1}
    assert isinstance(hook.records[0].error, RequestError)


def test_a_hook_that_fails_fails_no_call(grpc_address, caplog):
    class Broken:
        def started(self, record):
            raise ValueError("started")

        def finished(self, record):
            raise ValueError("finished")

    with Client(grpc_address, hooks=[Broken()]) as client, caplog.at_level(logging.ERROR):
        assert client.predict("half", X)["y"].tolist() == [1, 2]
    assert len(caplog.records) == 2


def test_retries_over_a_socket(tiny, grpc_address):
    left = [status_error(14, "starting")] * 2

    def fail(path):
        if path == methods.PREDICT and left:
            raise left.pop()

    tiny.before = fail
    with Client(grpc_address, retries=Retries(first_pause=0.001)) as client:
        assert client.predict("half", X)["y"].tolist() == [1, 2]
        assert client.stats().attempts == 4
    left[:] = [status_error(14, "starting")]
    with Client(grpc_address, retries=1) as client, pytest.raises(UnavailableError):
        client.predict("half", X)


def test_client_defaults(tiny, grpc_address, new_model):
    tiny.versions[2] = new_model()
    tiny.labels = {"stable": 1}
    with Client(grpc_address, label="stable") as client:
        assert client.predict("half", X).version == 1
        assert client.predict("half", X, version=2).version == 2
    with Client(grpc_address, version=1, signature="two") as client:
        inputs = {"image": np.ones((1, 2, 2), np.float32), "name": ["a"]}
        assert sorted(client.predict("half", inputs)) == ["image", "name"]
        assert client.predict("half", X, signature="serving_default").version == 1


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        ({"label": "a", "version": 1}, RequestError),
        ({"attempt_timeout": 0}, RequestError),
        ({"hedge_after": -1}, RequestError),
        ({"timeout": None}, RequestError),
        ({"compression": "br"}, UsageError),
        ({"retries": 0}, UsageError),
        ({"nosuch": 1}, TypeError),
    ],
)
def test_wrong_options(options, kind):
    for client in KINDS.values():
        with pytest.raises(kind):
            client("localhost", **options)


def test_wrong_grpc_options():
    with pytest.raises(UsageError, match="need an encrypted connection"):
        Client("localhost", call_credentials=grpc.access_token_call_credentials("x"))
    with pytest.raises(UsageError, match="both credentials and tls"):
        Client("localhost", tls=True, credentials=grpc.ssl_channel_credentials())
    with pytest.raises(UsageError, match="needs its key"):
        Tls(certificate="client.pem")
    with pytest.raises(EnvironmentFault, match=r"nosuch\.pem cannot be read"):
        Client("localhost", tls=Tls(ca="nosuch.pem"))


@pytest.mark.parametrize("kind", ["rest", "async-rest"])
def test_gzip_over_rest(kind, heard, rest_address):
    values = np.zeros(5000, np.float32)
    reply, _ = run(kind, rest_address, lambda c: c.predict("half", {"x": values}), compression="gzip")
    assert reply["y"].shape == (5000,)
    headers, body = heard[-1]
    assert headers["content-encoding"] == "gzip"
    assert len(body) < 1000


@pytest.mark.parametrize("kind", ["grpc", "async-grpc"])
def test_gzip_over_grpc(kind, grpc_listener):
    address = grpc_listener.address
    values = np.zeros(5000, np.float32)
    reply, _ = run(kind, address, lambda c: c.predict("half", {"x": values}), compression="gzip")
    assert reply["y"].shape == (5000,)


@pytest.mark.parametrize("kind", KINDS)
def test_a_dead_server_among_several_is_passed_over(kind, grpc_address, rest_address, free_port):
    address = rest_address if "rest" in kind else grpc_address

    def several(client):
        if kind.startswith("async"):

            async def calls():
                return [await client.predict("half", X) for _ in range(6)]

            return calls()
        return [client.predict("half", X) for _ in range(6)]

    found, client = run(kind, f"127.0.0.1:{free_port},{address}", several)
    assert [reply["y"].tolist() for reply in found] == [[1, 2]] * 6
    assert client.stats().failed == {}


def test_reload_goes_to_one_server(grpc_address):
    with Client([grpc_address, grpc_address]) as client, pytest.raises(UsageError, match="reload goes to one server"):
        client.reload("")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("a:1", ["a:1"]),
        ("a:1, b:2", ["a:1", "b:2"]),
        (["a:1", "b:2,c:3"], ["a:1", "b:2", "c:3"]),
        ("ipv4:1.2.3.4:1,1.2.3.5:2", ["ipv4:1.2.3.4:1,1.2.3.5:2"]),
        ("dns:///models:8500", ["dns:///models:8500"]),
    ],
)
def test_split_targets(target, expected):
    assert split_addresses(target) == expected


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, a server named models.internal, and a client, made with openssl."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl(*new, "-x509", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    for name in ("models.internal", "consumer"):
        (folder / "san.ext").write_text(f"subjectAltName=DNS:{name}\n")
        openssl(*new[:-2], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", "2", "-extfile", "san.ext", "-out", f"{name}.pem"),
        )
    return folder


@pytest.fixture(params=[False, True], ids=["tls", "mtls"])
def secure_server(request, certificates, tiny, listen):
    read = lambda name: (certificates / name).read_bytes()  # noqa: E731
    credentials = grpc.ssl_server_credentials(
        [(read("models.internal.key"), read("models.internal.pem"))],
        read("ca.pem") if request.param else None,
        require_client_auth=request.param,
    )
    with listen(tiny, credentials=credentials) as listener:
        yield listener.address, request.param, listener.seen


@pytest.mark.parametrize("kind", ["grpc", "async-grpc"])
def test_tls_and_mtls(kind, secure_server, certificates):
    address, mutual, found = secure_server
    own = {"certificate": certificates / "consumer.pem", "key": certificates / "consumer.key"} if mutual else {}
    tls = Tls(ca=certificates / "ca.pem", name="models.internal", **own)
    credentials = grpc.access_token_call_credentials("secret")
    reply, _ = run(kind, address, lambda c: c.predict("half", X), tls=tls, call_credentials=credentials)
    assert reply["y"].tolist() == [1, 2]
    assert found[-1]["authorization"] == "Bearer secret"
    with pytest.raises(UnavailableError):
        run(kind, address, lambda c: c.status("half"), tls=True, retries=1)


def test_https(certificates, rest_handler):
    import ssl
    import threading
    from http.server import ThreadingHTTPServer

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "models.internal.pem", certificates / "models.internal.key")
    with ThreadingHTTPServer(("127.0.0.1", 0), rest_handler) as server:
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        address = f"127.0.0.1:{server.server_port}"
        tls = Tls(ca=certificates / "ca.pem", name="models.internal")
        for kind in ("rest", "async-rest"):
            reply, _ = run(kind, address, lambda c: c.predict("half", X), tls=tls)
            assert reply["y"].tolist() == [1, 2]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("kind", ["rest", "async-rest"])
def test_the_environments_proxy_is_used_but_not_for_this_machine(kind, rest_address, rest_handler, monkeypatch):
    passed = []

    def forward(self):
        if self.path.startswith("http://"):
            passed.append((self.path, self.headers.get("proxy-authorization")))
            self.path = "/" + self.path.split("/", 3)[3]

    serve = rest_handler._serve
    monkeypatch.setattr(rest_handler, "_serve", lambda self, body: (forward(self), serve(self, body))[1])
    monkeypatch.setenv("http_proxy", f"http://user:secret@{rest_address}")
    reply, _ = run(kind, "models.invalid:8501", lambda c: c.predict("half", X))
    assert reply["y"].tolist() == [1, 2]
    assert passed[-1] == ("http://models.invalid:8501/v1/models/half:predict", "Basic dXNlcjpzZWNyZXQ=")
    passed.clear()
    run(kind, rest_address, lambda c: c.predict("half", X))
    monkeypatch.setenv("no_proxy", "models.invalid")
    with pytest.raises(UnavailableError):
        run(kind, "models.invalid:8501", lambda c: c.status("half"), retries=1)
    assert passed == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"model": None}, "not a valid model name: None"),
        ({"model": 5}, "not a valid model name: 5"),
        ({"model": ["half"]}, r"not a valid model name: \['half'\]"),
        ({"label": 5}, "not a valid label: 5"),
        ({"version": "1"}, "not a valid version: '1'"),
        ({"version": True}, "not a valid version: True"),
        ({"version": 1.0}, r"not a valid version: 1\.0"),
        ({"version": 2**63}, "not a valid version: 9223372036854775808"),
        ({"signature": 4}, "not a valid signature name: 4"),
        ({"timeout": "5"}, "not a valid timeout: '5' s"),
        ({"timeout": True}, "not a valid timeout: True s"),
        ({"headers": [("a", "b")]}, "headers must be a mapping, not list"),
        ({"output_filter": "y"}, "not a valid output_filter: 'y'"),
        ({"output_filter": None}, "not a valid output_filter: None"),
        ({"output_filter": [1]}, r"not a valid output_filter: \[1\]"),
        ({"inputs": {1: [1.0]}}, "not a valid input name: 1"),
    ],
    ids=str,
)
def test_an_argument_of_the_wrong_type_is_said(kind, grpc_address, rest_address, wrong, message):
    """Also after a right one that is equal to it, and for a client that does not check its inputs."""
    address = rest_address if "rest" in kind else grpc_address
    arguments = {"model": "half", "inputs": X}
    for options in ({}, {"check": False}):
        run(kind, address, lambda c: c.predict(**arguments, version=1), **options)
        with pytest.raises(UsageError, match=message):
            run(kind, address, lambda c: c.predict(**{**arguments, **wrong}), **options)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_list_of_examples(kind, grpc_address, rest_address):
    address = rest_address if "rest" in kind else grpc_address

    def collect(client):
        return list(client.predict_many("half", None))

    async def collect_async(client):
        return [each async for each in client.predict_many("half", None)]

    with pytest.raises(UsageError, match="the examples must be a list, not NoneType"):
        run(kind, address, collect_async if "async" in kind else collect)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("timeout", [1e7, 1e12, 1e300])
def test_a_very_long_timeout_is_long(kind, grpc_address, rest_address, timeout):
    address = rest_address if "rest" in kind else grpc_address
    reply, _ = run(kind, address, lambda c: c.predict("half", X, timeout=timeout), timeout=timeout)
    assert reply["y"].tolist() == [1, 2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_version_may_be_a_number_of_numpy(kind, grpc_address, rest_address):
    address = rest_address if "rest" in kind else grpc_address
    reply, _ = run(kind, address, lambda c: c.predict("half", {"x": range(3)}, version=np.int64(1)))
    assert reply["y"].tolist() == [0, 0.5, 1]


@pytest.mark.parametrize("kind", ["rest", "async-rest"])
@pytest.mark.parametrize("check", [False, True])
def test_an_output_that_there_is_not_is_said_where_the_server_cannot(kind, rest_address, check):
    with pytest.raises(RequestError, match="has no output z"):
        run(kind, rest_address, lambda c: c.predict("half", X, output_filter=["z"]), check=check)
