# SPDX-License-Identifier: Apache-2.0
"""Stores of this machine, each started once and stopped: SeaweedFS and moto (S3), Azurite (Azure), docker-registry."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import hashlib
import hmac
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from support.npm import installed

#: the account of every Azurite; its key is public
ACCOUNT = "devstoreaccount1"
ACCOUNT_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VARIABLES = ("AWS_", "AZURE_", "GOOGLE_")


@dataclass(frozen=True)
class Store:
    """A store that runs: its root as an address, its port, and the environment in which it can be reached."""

    kind: str
    root: str
    port: int
    environment: dict[str, str]

    def through(self, port: int) -> dict[str, str]:
        """Return the environment of a client that goes through another port of this machine."""
        return {key: value.replace(f":{self.port}", f":{port}") for key, value in self.environment.items()}


@contextlib.contextmanager
def running(command: list[str], folder: Path, ready) -> Iterator[None]:
    """Run a server until the block ends; ``ready`` is called until it raises nothing."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    ready()
                    break
                except (OSError, http.client.HTTPException, AssertionError):
                    assert process.poll() is None, (folder / "log").read_text()[-2000:]
                    assert time.monotonic() < deadline, (folder / "log").read_text()[-2000:]
                    time.sleep(0.05)
            yield
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def answer(port: int, method: str, path: str, headers: dict[str, str] | None = None) -> int:
    """Return the status of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, headers=headers or {})
        return connection.getresponse().status
    finally:
        connection.close()


def free_ports(count: int) -> list[int]:
    """Return ports that are free together, also 10000 above, where SeaweedFS listens for gRPC.

    All are below 32768, where Linux begins to hand out the ports of clients: one of those would come between.
    """
    found: list[int] = []
    candidate = 10000 + os.getpid() * 37 % 12000
    while len(found) < count:
        candidate += 1
        with contextlib.suppress(OSError), socket.socket() as near, socket.socket() as far:
            near.bind(("127.0.0.1", candidate))
            far.bind(("127.0.0.1", candidate + 10000))
            found.append(candidate)
    return found


@contextlib.contextmanager
def seaweedfs(folder: Path) -> Iterator[Store]:
    """Run SeaweedFS with the bucket ``models``."""
    key, secret = "weed-key", "weed-secret"
    identity = {"name": "t", "credentials": [{"accessKey": key, "secretKey": secret}]}
    identity["actions"] = ["Admin", "Read", "Write", "List", "Tagging"]
    (folder / "s3.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir()
    s3, master, volume, filer = free_ports(4)
    command = [str(Path(sys.executable).with_name("weed")), "mini", f"-dir={folder / 'data'}", "-ip=127.0.0.1"]
    command += ["-ip.bind=127.0.0.1", f"-s3.port={s3}", f"-s3.config={folder / 's3.json'}", "-admin.ui=false"]
    command += ["-webdav=false", "-bucket=models", f"-master.port={master}", f"-volume.port={volume}"]
    command += [f"-filer.port={filer}", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    environment = _aws(s3, key, secret)

    def ready() -> None:
        # what is written needs a volume, which comes last
        assert answer(s3, "GET", "/healthz") == 200
        assert _written(environment)

    with running(command, folder, ready):
        yield Store("seaweedfs", "s3://models", s3, environment)


@contextlib.contextmanager
def moto(folder: Path) -> Iterator[Store]:
    """Run moto with the bucket ``models``."""
    (port,) = free_ports(1)
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", str(port)]

    def ready() -> None:
        assert answer(port, "PUT", "/models") == 200

    with running(command, folder, ready):
        yield Store("moto", "s3://models", port, _aws(port, "any", "any"))


@contextlib.contextmanager
def azurite(program: Path, folder: Path) -> Iterator[Store]:
    """Run Azurite with the container ``models``."""
    (port,) = free_ports(1)
    command = ["node", str(program), "--inMemoryPersistence", "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
    command += ["--blobHost", "127.0.0.1", "--blobPort", str(port)]

    def ready() -> None:
        assert answer(port, "PUT", f"/{ACCOUNT}/models?restype=container", _signed(port)) in (201, 409)

    environment = {
        "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
        "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY,
        "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/{ACCOUNT}",
    }
    with running(command, folder, ready):
        yield Store("azurite", "az://models", port, environment)


@contextlib.contextmanager
def registry(folder: Path, *, deletes: bool = True, users: str = "") -> Iterator[Store]:
    """Run Debian's docker-registry; ``users`` are lines of htpasswd (bcrypt), without them everyone may call."""
    (port,) = free_ports(1)
    access = ""
    if users:
        (folder / "users").write_text(users)
        access = f"auth: {{htpasswd: {{realm: models, path: {folder / 'users'}}}}}\n"
    (folder / "registry.yml").write_text(
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {folder / 'data'}}}, delete: {{enabled: {str(deletes).lower()}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}'}}\n{access}"
    )

    def ready() -> None:
        assert answer(port, "GET", "/v2/") in (200, 401)

    with running(["docker-registry", "serve", str(folder / "registry.yml")], folder, ready):
        yield Store("registry", f"oci://127.0.0.1:{port}", port, {})


def azurite_program() -> Path:
    """Return the program of Azurite, installed once outside the tree; ``NotInstalledError`` without Node or npm."""
    folder = installed(Path(__file__).parent / "azurite", "tfs-deploy-azurite", "TFS_DEPLOY_AZURITE_CACHE")
    return folder / "node_modules/azurite/dist/src/blob/main.js"


def _aws(port: int, key: str, secret: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
    }


def _written(environment: dict[str, str]) -> bool:
    from obstore.exceptions import BaseError
    from obstore.store import S3Store

    store = S3Store(
        "models",
        endpoint=environment["AWS_ENDPOINT_URL"],
        access_key_id=environment["AWS_ACCESS_KEY_ID"],
        secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        region="us-east-1",
        client_options={"allow_http": True},
        retry_config={"max_retries": 0},
    )
    try:
        store.put("ready", b"yes")
    except BaseError:
        return False
    return True


def _signed(port: int) -> dict[str, str]:
    """Return the headers that make a container (Shared Key of Azure Storage)."""
    date = email.utils.formatdate(usegmt=True)
    headers = {"x-ms-date": date, "x-ms-version": "2021-08-06", "Content-Length": "0"}
    text = "\n".join(["PUT", *[""] * 11, f"x-ms-date:{date}", "x-ms-version:2021-08-06", ""])
    text += f"/{ACCOUNT}/{ACCOUNT}/models\nrestype:container"
    mac = hmac.new(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256).digest()
    return headers | {"Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(mac).decode()}"}
