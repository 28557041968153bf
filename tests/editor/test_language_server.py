# SPDX-License-Identifier: Apache-2.0
"""A deployment file in VS Code: keys are completed, mistakes are flagged, and a key says what it means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from editor.language_server import LanguageServer, find_server
from tfs_deploy.deployment.file.editor import schema_comment
from tfs_deploy.deployment.file.schema import DeploymentFile, ServerSection


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageServer]:
    server = LanguageServer(find_server(), tmp_path_factory.mktemp("editor"))
    yield server
    server.close()


@pytest.fixture
def file(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "shop.yaml"
        path.write_text(schema_comment(tmp_path) + text)
        return path

    return write


def test_a_file_without_mistakes(server, file):
    path = file("name: ${NAME:-shop}\nserver:\n  grpc_port: ${PORT}\nmodels:\n  - name: m\n    base_path: m\n")
    assert server.open(path) == []


def test_keys_are_completed(server, file):
    path = file("name: shop\n\nmodels:\n  - name: m\n    base_path: m\nserver:\n  g\n")
    server.open(path)
    assert server.complete(path, 3, 0) >= DeploymentFile.model_fields.keys() - {"name", "models", "server"}
    assert server.complete(path, 8, 3) >= ServerSection.model_fields.keys() - {"target"}


def test_values_are_completed(server, file):
    path = file("name: shop\nserver:\n  target: \nmodels:\n  - name: m\n    base_path: m\n    versions: \n")
    server.open(path)
    assert server.complete(path, 4, 10) >= {"embedded", "docker"}
    assert server.complete(path, 8, 14) >= {"latest", "all"}


def test_mistakes_are_flagged(server, file):
    path = file(
        "name: shop\nserver:\n  grpc_prot: 8500\n  rest_port: many\n  target: dokcer\n  flags: {num_load_thread: 2}\n"
        "models:\n  - name: m\n    base_path: m\n    labels: [stable]\n"
    )
    assert server.open(path) == [
        "4: Property grpc_prot is not allowed.",
        "5: must be a whole number, or a variable such as ${NAME}",
        '6: Value is not accepted. Valid values: "embedded", "docker".',
        "7: Property num_load_thread is not allowed.",
        '11: Incorrect type. Expected "object".',
    ]


def test_a_key_says_what_it_means(server, file):
    path = file("name: shop\nserver:\n  rest_port: 8501\nmodels:\n  - name: m\n    base_path: m\n")
    server.open(path)
    assert "Port of the REST API; 0 starts no REST API" in server.hover(path, 4, 4).replace("\\", "")
    assert "numbered version directories" in server.hover(path, 7, 6)


def test_without_node_its_tests_are_skipped(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(pytest.skip.Exception, match="the node command is not installed"):
        find_server()
