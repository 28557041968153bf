# SPDX-License-Identifier: Apache-2.0
"""TLS that does not work: each reason in its own sentence, with the remedy, over gRPC and REST."""

from __future__ import annotations

import contextlib
import logging
import shutil
import ssl
import subprocess
import threading
import time
from http.server import ThreadingHTTPServer

import grpc
import pytest

from support.clients import CLIENTS
from tfs_deploy.client import Tls
from tfs_deploy.client import tls as tls_module
from tfs_deploy.errors import EnvironmentFault, UnavailableError, UsageError

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Certificates of two authorities, made with openssl."""
    folder = tmp_path_factory.mktemp("tls")
    new = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"

    def openssl(line):
        subprocess.run(["openssl", *line.split()], cwd=folder, check=True, capture_output=True)

    def leaf(name, authority, names, days):
        openssl(f"{new} -keyout {name}.key -out {name}.csr -subj /CN={name}")
        (folder / "names").write_text(f"subjectAltName={names}")
        openssl(
            f"x509 -req -in {name}.csr -CA {authority}.pem -CAkey {authority}.key -CAcreateserial -extfile names"
            f" -out {name}.pem -days {days}"
        )

    for name in ("ca", "other"):
        openssl(f"{new} -x509 -keyout {name}.key -out {name}.pem -days 30 -subj /CN={name}")
    openssl(f"{new} -keyout gone.key -out gone.csr -subj /CN=gone")
    (folder / "authority").write_text("basicConstraints=CA:TRUE")
    openssl("x509 -req -in gone.csr -signkey gone.key -extfile authority -out gone.pem -days -1")
    leaf("server", "ca", "IP:127.0.0.1", 30)
    leaf("elsewhere", "ca", "DNS:models.internal", 30)
    leaf("expired", "ca", "IP:127.0.0.1", -1)
    leaf("stranger", "other", "DNS:stranger", 30)
    leaf("consumer", "ca", "DNS:consumer", 30)
    leaf("ending", "ca", "DNS:ending", 3)
    openssl("x509 -in ca.pem -outform der -out ca.der")
    openssl("pkey -in consumer.key -aes256 -passout pass:secret -out locked.key")
    return folder


@pytest.fixture
def serve(folder, tiny, listen, rest_handler):
    """Return the address of a server over TLS with a certificate; ``ca``: clients need a certificate of it."""
    with contextlib.ExitStack() as stack:

        def start(kind, name, ca=None):
            read = lambda path: (folder / path).read_bytes()  # noqa: E731
            if "grpc" in kind:
                pair = (read(f"{name}.key"), read(f"{name}.pem"))
                authority = None if ca is None else read(ca)
                made = grpc.ssl_server_credentials([pair], authority, require_client_auth=ca is not None)
                return stack.enter_context(listen(tiny, credentials=made)).address
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
            if ca is not None:
                context.load_verify_locations(folder / ca)
                context.verify_mode = ssl.CERT_REQUIRED
            server = stack.enter_context(ThreadingHTTPServer(("127.0.0.1", 0), rest_handler))
            server.daemon_threads = True
            server.handle_error = lambda *_: None
            server.socket = context.wrap_socket(server.socket, server_side=True)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            stack.callback(thread.join)
            stack.callback(server.shutdown)
            return f"127.0.0.1:{server.server_port}"

        yield start


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize(
    ("name", "ca", "message", "hint"),
    [
        ("server", "other.pem", "is not of a trusted authority", r"Tls\(ca=...\)"),
        ("elsewhere", "ca.pem", "is for another name", r"Tls\(name=...\)"),
        ("expired", "ca.pem", "has expired", "renew the server's certificate"),
    ],
)
def test_a_certificate_that_is_refused(kind, serve, folder, name, ca, message, hint):
    address = serve(kind, name)
    with CLIENTS[kind](address, tls=Tls(ca=folder / ca)) as client:
        with pytest.raises(UnavailableError, match=f"^the certificate of {address} {message}") as caught:
            client.status("half")
        assert client.stats().attempts == 1
    assert caught.match(hint)
    assert not caught.value.retriable


@pytest.mark.parametrize("kind", CLIENTS)
@pytest.mark.parametrize("own", [None, "stranger"])
def test_a_client_certificate_that_is_missing_or_not_trusted(kind, serve, folder, own):
    address = serve(kind, "server", "ca.pem")
    files = {} if own is None else {"certificate": folder / f"{own}.pem", "key": folder / f"{own}.key"}
    with (
        CLIENTS[kind](address, tls=Tls(ca=folder / "ca.pem", **files), retries=1) as client,
        pytest.raises(UnavailableError, match=address) as caught,
    ):
        client.status("half")
    assert "certificate" in caught.value.hint
    assert "authority" in caught.value.hint or "Tls(certificate=..., key=...)" in caught.value.hint


@pytest.mark.parametrize("kind", CLIENTS)
def test_a_server_without_tls(kind, folder, grpc_address, rest_address):
    address = grpc_address if "grpc" in kind else rest_address
    with (
        CLIENTS[kind](address, tls=Tls(ca=folder / "ca.pem")) as client,
        pytest.raises(UnavailableError, match=f"^{address} does not speak TLS"),
    ):
        client.status("half")


CHANGES = {
    "a comment": lambda data: "# Zertifikat für das Modell\n".encode() + data,
    "a byte order mark": lambda data: b"\xef\xbb\xbf" + data,
    "line ends of Windows": lambda data: data.replace(b"\n", b"\r\n"),
    "old line ends": lambda data: data.replace(b"\n", b"\r"),
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "blanks at line ends": lambda data: data.replace(b"\n", b"  \n"),
    "no last line end": lambda data: data.rstrip(),
    "text behind": lambda data: data + b"\nthat was it",
}


@pytest.mark.parametrize("change", CHANGES)
def test_pem_files_as_editors_leave_them(folder, tmp_path, change):
    for name in ("ca.pem", "consumer.pem", "consumer.key"):
        (tmp_path / name).write_bytes(CHANGES[change]((folder / name).read_bytes()))
    tls = Tls(ca=tmp_path / "ca.pem", certificate=tmp_path / "consumer.pem", key=tmp_path / "consumer.key")
    assert tls.context().get_ca_certs()
    assert tls.credentials()


@pytest.mark.parametrize("kind", ["grpc", "rest"])
def test_they_work(kind, serve, folder, tmp_path):
    for name in ("ca.pem", "consumer.pem", "consumer.key"):
        (tmp_path / name).write_bytes(CHANGES["UTF-16"]((folder / name).read_bytes()))
    tls = Tls(ca=tmp_path / "ca.pem", certificate=tmp_path / "consumer.pem", key=tmp_path / "consumer.key")
    with CLIENTS[kind](serve(kind, "server", "ca.pem"), tls=tls) as client:
        assert client.status("half")[0].version == 1


@pytest.mark.parametrize("make", [Tls.credentials, Tls.context], ids=["grpc", "rest"])
@pytest.mark.parametrize(
    ("files", "message", "hint"),
    [
        ({"ca": "nosuch.pem"}, "nosuch.pem cannot be read", "check the path"),
        ({"ca": "names"}, "names holds no certificate in PEM form", "-----BEGIN CERTIFICATE-----"),
        ({"ca": "ca.der"}, "ca.der is in DER form, not PEM", "openssl x509 -inform der -in "),
        ({"ca": "ca.key"}, "ca.key holds a private key, not a certificate", "which file is which"),
        ({"ca": "gone.pem"}, "the authorities in .*gone.pem have expired, the last one on 20", "the authority"),
        ({"certificate": "consumer.key", "key": "consumer.pem"}, "holds a private key, not a certificate", "which"),
        ({"certificate": "consumer.pem", "key": "server.key"}, "is not the key of .*consumer.pem", "together"),
        ({"certificate": "consumer.pem", "key": "locked.key"}, "locked.key needs a password", "openssl pkey -in"),
        ({"certificate": "consumer.pem", "key": "server.pem"}, "holds a certificate, not a private key", "which"),
        ({"certificate": "expired.pem", "key": "expired.key"}, "the client certificate .* expired on 20", "renew it"),
    ],
)
def test_files_that_cannot_be_used(folder, make, files, message, hint):
    with pytest.raises(EnvironmentFault, match=message) as caught:
        make(Tls(**{name: folder / path for name, path in files.items()}))
    assert hint in caught.value.hint


def test_a_client_certificate_that_ends_soon_is_logged(folder, caplog):
    with caplog.at_level(logging.WARNING, "tfs_deploy"):
        Tls(certificate=folder / "consumer.pem", key=folder / "consumer.key").context()
        assert not caplog.records
        Tls(certificate=folder / "ending.pem", key=folder / "ending.key").context()
    assert [record.getMessage().endswith(" UTC: renew it") for record in caplog.records] == [True]


@pytest.mark.parametrize("kind", ["grpc", "async-grpc", "rest"])
def test_a_damaged_certificate(kind, serve, folder, tmp_path):
    whole = (folder / "ca.pem").read_text().splitlines()
    (tmp_path / "cut.pem").write_text("\n".join([*whole[:3], whole[-1]]))
    tls = Tls(ca=tmp_path / "cut.pem")
    if "rest" in kind:
        with pytest.raises(EnvironmentFault, match=r"a certificate in .*cut\.pem cannot be read") as caught:
            CLIENTS[kind]("127.0.0.1:1", tls=tls)
    else:
        with CLIENTS[kind](serve(kind, "server"), tls=tls) as client, pytest.raises(UnavailableError) as caught:
            client.status("half")
        assert "a certificate or key of the client is damaged" in caught.value.message
    assert "whole?" in caught.value.hint


def test_a_certificate_and_its_key_are_given_together(folder):
    for files in ({"certificate": folder / "consumer.pem"}, {"key": folder / "consumer.key"}):
        with pytest.raises(UsageError, match="a client certificate needs its key"):
            Tls(**files)


def test_a_server_has_to_be_of_the_authority_that_is_given_and_of_no_other(folder):
    context = Tls(ca=folder / "ca.pem").context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert [dict(part[0] for part in each["subject"])["commonName"] for each in context.get_ca_certs()] == ["ca"]


def test_grpc_gets_each_file_in_its_place(folder, monkeypatch):
    given = []
    monkeypatch.setattr(grpc, "ssl_channel_credentials", lambda *arguments: given.append(arguments))
    Tls(ca=folder / "ca.pem", certificate=folder / "consumer.pem", key=folder / "consumer.key").credentials()
    Tls().credentials()
    files = tuple((folder / name).read_bytes().split(b"\n")[1] for name in ("ca.pem", "consumer.key", "consumer.pem"))
    assert all(line in text for line, text in zip(files, given[0], strict=True))
    assert given[1] == (None, None, None)


@pytest.mark.parametrize(
    ("begins", "ends", "outcome"),
    [
        (-30, 15, "fits"),
        (-30, 13, "is logged"),
        (-30, -1, "expired on"),
        (1, 30, "is valid from"),
    ],
)
def test_the_dates_of_a_client_certificate(monkeypatch, caplog, begins, ends, outcome):
    now = 1_800_000_000.0
    monkeypatch.setattr(tls_module.time, "time", lambda: now)
    text = {
        name: time.strftime("%b %d %H:%M:%S %Y GMT", time.gmtime(now + days * 86400))
        for name, days in (("notBefore", begins), ("notAfter", ends))
    }
    monkeypatch.setattr(tls_module, "decode_certificate", lambda block: text)
    with (
        contextlib.nullcontext() if outcome in ("fits", "is logged") else pytest.raises(EnvironmentFault, match=outcome)
    ):
        tls_module._check_dates("own.pem", "", whole=True)
    assert bool(caplog.records) is (outcome == "is logged")


def test_authorities_are_looked_at_too(folder, caplog, monkeypatch):
    (authority,) = Tls(ca=folder / "ca.pem").context().get_ca_certs()
    end = ssl.cert_time_to_seconds(authority["notAfter"])
    for days, logged in ((30, False), (14, False), (13, True), (0, True)):
        caplog.clear()
        monkeypatch.setattr(tls_module.time, "time", lambda days=days: end - days * 86400)
        Tls(ca=folder / "ca.pem").context()
        assert ["the authorities in" in record.getMessage() for record in caplog.records] == [True] * logged


@pytest.mark.parametrize("make", [Tls.credentials, Tls.context], ids=["grpc", "rest"])
def test_a_damaged_client_certificate_is_an_error_of_rest_and_of_the_first_call_of_grpc(folder, tmp_path, make):
    whole = (folder / "consumer.pem").read_text().splitlines()
    (tmp_path / "cut.pem").write_text("\n".join([*whole[:3], whole[-1]]))
    tls = Tls(certificate=tmp_path / "cut.pem", key=folder / "consumer.key")
    refused = pytest.raises(EnvironmentFault, match=r"certificate in .*cut\.pem cannot be read: Error decoding PEM")
    with refused if make is Tls.context else contextlib.nullcontext():
        assert make(tls)


def test_a_damaged_key_is_named(folder, tmp_path):
    whole = (folder / "consumer.key").read_text().splitlines()
    (tmp_path / "cut.key").write_text("\n".join([*whole[:2], whole[-1]]))
    tls = Tls(certificate=folder / "consumer.pem", key=tmp_path / "cut.key")
    with pytest.raises(EnvironmentFault, match=r"consumer.pem and .*cut.key cannot be used") as caught:
        tls.context()
    assert "openssl x509 -in" in caught.value.hint
    assert tls.credentials()
