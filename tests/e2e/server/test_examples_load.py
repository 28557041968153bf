# SPDX-License-Identifier: Apache-2.0
"""Every deployment file in configs and docs is one that the embedded server loads."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.live import free_ports
from support.signing import write_key
from tfs_deploy.config import server_flags, write_config
from tfs_deploy.deployment.file import load_deployment, write_yaml
from tfs_deploy.server.process.flags import parse_flags
from tfs_deploy.server.process.server_process import ServerProcess

ROOT = Path(__file__).parents[3]


def _documents() -> dict[str, dict[str, Any]]:
    texts = {path.name: [path.read_text()] for path in sorted((ROOT / "configs").glob("*.yaml"))}
    for page in (*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"):
        texts[page.name] = re.findall(r"^```yaml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    documents = {}
    for name, blocks in texts.items():
        for number, text in enumerate(blocks):
            document = yaml.safe_load(text)
            if isinstance(document, dict) and "models" in document:
                documents[f"{name}-{number}"] = document
    return documents


DOCUMENTS = _documents()


def test_the_examples_are_found():
    assert {name.partition("-")[0] for name in DOCUMENTS} >= {"digits.yaml", "reference.yaml", "docker.md"}


def _certificate(folder: Path, section: dict[str, Any]) -> None:
    """Write the files that a section ssl names: a key, its certificate, and the certificate again as its own CA."""
    for name in ("key", "cert", "ca"):
        (folder / section[name]).parent.mkdir(exist_ok=True)
    new = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -days 2"
    pair = ("-keyout", folder / section["key"], "-out", folder / section["cert"])
    subprocess.run(["openssl", *new.split(), *pair], check=True, capture_output=True)
    shutil.copy(folder / section["cert"], folder / section["ca"])
    for name in {"client_key", "client_cert"} & set(section):
        shutil.copy(folder / section[name.removeprefix("client_")], folder / section[name])


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_embedded_server_loads_the_example(name, tmp_path, models):
    """On this machine and free ports; ``platform_config`` is left out, since batching would be ignored beside it."""
    document = DOCUMENTS[name]
    server = document.setdefault("server", {})
    server["target"] = "embedded"
    server["grpc_port"], server["rest_port"], *second = free_ports(4)
    if "alternate_ports" in server:
        server["alternate_ports"] = dict(zip(("grpc_port", "rest_port"), second, strict=True))
    server.pop("platform_config", None)
    server.pop("docker", None)
    if "session_config" in server:
        (tmp_path / server["session_config"]).write_text("intra_op_parallelism_threads: 1\n")
    for model in document["models"]:
        model["base_path"] = f"models/{model['name']}"
        for version in model.get("versions", {}).get("specific", [1]):
            half = models / "saved_model_half_plus_two_cpu" / "00000123"
            shutil.copytree(half, tmp_path / model["base_path"] / str(version))
    if "ssl" in document:
        _certificate(tmp_path, document["ssl"])
    for key in document.get("trust", ()):
        (tmp_path / key).parent.mkdir(exist_ok=True)
        write_key(tmp_path, "any")[1].rename(tmp_path / key)
    path = tmp_path / "example.yaml"
    path.write_text(write_yaml(document))
    deployment = load_deployment(path, check_disk=True)
    write_config(deployment, tmp_path / "config")
    process = ServerProcess(parse_flags(server_flags(deployment, tmp_path / "config")))
    process.start()
    process.stop()
