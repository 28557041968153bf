# SPDX-License-Identifier: Apache-2.0
"""TLS with client certificates: only who has one of the authority's is served; REST and the metrics stay plain."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from tfs_deploy import protos
from tfs_deploy.client import Client
from tfs_deploy.errors import UnavailableError

if TYPE_CHECKING:
    from .conftest import Server


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority, a server's pair and a client's pair signed by it, and a pair that nobody signed."""
    folder = tmp_path_factory.mktemp("pems")
    new = ("req", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    for name in ("ca", "stranger"):
        openssl(
            *new, "-x509", "-subj", f"/CN={name}", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"
        )
    names = folder / "names"
    names.write_text("subjectAltName=DNS:localhost")
    for name in ("server", "client"):
        key, request, pem = (folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        openssl(*new[:4], "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        signer = ("-CA", folder / "ca.pem", "-CAkey", folder / "ca.key", "-CAcreateserial")
        openssl("x509", "-req", "-in", request, *signer, "-days", "2", "-extfile", names, "-out", pem)
    return folder


@pytest.mark.parametrize("verify", [True, False])
def test_who_is_served(verify: bool, pems: Path, start: Callable[..., Server], models: Path, tmp_path: Path) -> None:
    def text(name: str) -> str:
        return (pems / name).read_text()

    config = protos.SSLConfig(
        server_key=text("server.key"), server_cert=text("server.pem"), custom_ca=text("ca.pem"), client_verify=verify
    )
    (tmp_path / "ssl").write_text(protos.to_text(config))
    server = start(
        f"--model_base_path={models / 'saved_model_half_plus_two_cpu'}", f"--ssl_config_file={tmp_path / 'ssl'}"
    )
    address = f"localhost:{server.grpc_port}"

    def served(pair: str | None) -> bool:
        key, chain = (None, None) if pair is None else ((pems / f"{pair}.{end}").read_bytes() for end in ("key", "pem"))
        credentials = grpc.ssl_channel_credentials((pems / "ca.pem").read_bytes(), key, chain)
        with Client(address, credentials=credentials, retries=1) as client:
            try:
                return bool(client.predict("default", {"x": np.float32([[2]])}, timeout=300)["y"] == 3.0)
            except UnavailableError:
                return False

    assert served("client")
    assert served(None) is not verify
    assert not (verify and served("stranger"))
    assert server.post("default", {"instances": [[2.0]]}) == {"predictions": [[3.0]]}
