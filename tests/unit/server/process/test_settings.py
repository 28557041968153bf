# SPDX-License-Identifier: Apache-2.0
"""Flags that the server refuses when it makes its settings of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tfs_deploy import protos
from tfs_deploy.errors import EnvironmentFault, UsageError
from tfs_deploy.server.process import settings
from tfs_deploy.server.process.flags import parse_flags
from tfs_deploy.server.process.settings import batching, read_text_file, session_config


@pytest.mark.parametrize("flag", ["--tensorflow_session_parallelism=-1", "--tensorflow_intra_op_parallelism=-2"])
def test_fewer_than_no_threads_are_refused(flag: str) -> None:
    """TensorFlow would end the process over them; between operations -1 stands for the caller's thread."""
    with pytest.raises(UsageError, match="not a valid number of threads within an operation"):
        session_config(parse_flags([flag]))
    assert session_config(parse_flags(["--tensorflow_inter_op_parallelism=-1"]))


def test_no_batch_threads_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "batching"
    file.write_text("num_batch_threads { value: 0 }")
    with pytest.raises(UsageError, match="num_batch_threads must be positive; was 0"):
        batching(parse_flags(["--enable_batching", f"--batching_parameters_file={file}"]))


def test_a_file_without_a_byte_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "batching"
    file.write_text("")
    flags = parse_flags(["--enable_batching", f"--batching_parameters_file={file}"])
    with pytest.raises(EnvironmentFault, match=f"the batching parameters file {file} is empty"):
        batching(flags)
    file.write_text("# the defaults\n")
    assert batching(flags) is not None


def test_a_mistake_in_a_text_is_named_in_the_words_of_the_server(tmp_path: Path) -> None:
    file = tmp_path / "models.config"
    file.write_text("improperly formatted file\n")
    with pytest.raises(
        EnvironmentFault, match=r"Error parsing text-format tensorflow\.serving\.ModelServerConfig: 1:\d+: Message type"
    ):
        read_text_file(file, protos.ModelServerConfig(), "model config")


@pytest.mark.parametrize(
    ("fields", "roots", "required"),
    [({}, None, False), ({"custom_ca": "CA"}, b"CA", False), ({"custom_ca": "CA", "client_verify": True}, b"CA", True)],
)
def test_the_port_has_the_certificates_of_the_ssl_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], roots: bytes | None, required: bool
) -> None:
    given: list[Any] = []

    def credentials(pairs: Any, root_certificates: Any = None, require_client_auth: bool = False) -> str:
        given.append((pairs, root_certificates, require_client_auth))
        return "credentials"

    monkeypatch.setattr(settings.grpc, "ssl_server_credentials", credentials)
    file = tmp_path / "ssl.config"
    file.write_text(protos.to_text(protos.SSLConfig(server_key="KEY", server_cert="CERT", **fields)))
    assert settings.server_credentials(parse_flags([f"--ssl_config_file={file}"])) == "credentials"
    assert given == [([(b"KEY", b"CERT")], roots, required)]
    assert settings.server_credentials(parse_flags([])) is None


def test_clients_cannot_be_checked_without_an_authority(tmp_path: Path) -> None:
    file = tmp_path / "ssl.config"
    file.write_text('server_key: "KEY" server_cert: "CERT" client_verify: true')
    with pytest.raises(EnvironmentFault, match="without a custom_ca to check them against"):
        settings.server_credentials(parse_flags([f"--ssl_config_file={file}"]))
