# SPDX-License-Identifier: Apache-2.0
"""``predict`` over TLS, with a token and headers."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import pytest

from support.forked_command import run_command
from tfs_deploy.cli.shared.options import client_options
from tfs_deploy.errors import UsageError
from tfs_deploy.server.data_plane import DataPlane
from tfs_deploy.server.grpc.server import GrpcServer
from tfs_deploy.server.metrics import ServerMetrics
from tfs_deploy.server.testing import function_model, serve_models

NONE = {"tls": False, "ca": None, "cert": None, "key": None, "server_name": None, "token": None, "headers": ()}


@pytest.fixture(scope="module")
def secure_server(tmp_path_factory):
    """The address of a server that requires a client certificate, and the folder of the files."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    for name in ("server", "consumer"):
        line = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30"
        more = f"-subj /CN={name} -addext subjectAltName=DNS:{name}.internal -keyout {name}.key -out {name}.pem"
        subprocess.run([*line.split(), *more.split()], cwd=folder, check=True, capture_output=True)
    pair = (folder / "server.key").read_bytes(), (folder / "server.pem").read_bytes()
    credentials = grpc.ssl_server_credentials([pair], (folder / "consumer.pem").read_bytes(), require_client_auth=True)
    model = function_model(lambda x: {"y": x * 2}, inputs={"x": "float32"}, outputs={"y": "float32"})
    with serve_models({"m": model}, rest=False) as served:
        server = GrpcServer(DataPlane(served.core, ServerMetrics()), threads=2)
        port = server.listen("127.0.0.1:0", credentials)
        server.start()
        yield f"127.0.0.1:{port}", folder
        server.stop(1)


def test_tls_with_a_client_certificate(secure_server):
    address, folder = secure_server
    own = ["--cert", "consumer.pem", "--key", "consumer.key"]
    request = ["predict", address, "m", "-i", "x=[1.5]", "--json", "--ca", "server.pem"]
    result = run_command(*request, "--server-name", "server.internal", *own, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["outputs"]["y"]["values"] == [3.0]
    result = run_command(*request, *own, cwd=folder)
    assert result.returncode == 3
    assert f"the certificate of {address} is for another name" in result.stderr
    result = run_command(*request, "--cert", "consumer.pem", cwd=folder)
    assert result.returncode == 2
    assert "a client certificate needs its key" in result.stderr


def test_token_and_headers_are_sent(tmp_path):
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.headers["authorization"], self.headers["x-team"], self.headers["x-b"]))
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b"not you")

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    Path(tmp_path / "token").write_text("secret\n")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        words = ["predict", f"127.0.0.1:{server.server_port}", "m", "-i", "x=1", "--rest", "--token", "@token"]
        result = run_command(*words, "-H", "x-team=vision", "--header", "x-b: a=b", cwd=tmp_path)
        server.shutdown()
        thread.join()
    assert seen == [("Bearer secret", "vision", "a=b")]
    assert result.returncode == 3
    assert "answered HTTP 403: not you" in result.stderr


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"headers": ("no-value",)}, "not a valid header: 'no-value'"),
        ({"headers": ("=x",)}, "not a valid header: '=x'"),
        ({"token": " "}, "the token is empty"),
        ({"token": "@nosuch"}, "the token's file nosuch cannot be read"),
        ({"cert": Path("c.pem")}, "a client certificate needs its key"),
        ({"key": Path("c.key")}, "a client certificate needs its key"),
    ],
)
def test_what_is_refused(given, message):
    with pytest.raises(UsageError, match=message):
        client_options(**{**NONE, **given})


def test_without_options_nothing_is_sent():
    assert client_options(**NONE) == {"headers": {}}
    assert client_options(**{**NONE, "tls": True})["tls"].ca is None
