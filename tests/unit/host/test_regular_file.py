# SPDX-License-Identifier: Apache-2.0
"""Pipes and devices are refused at once, by whatever reads files that others made."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tfs_deploy.client import Tls
from tfs_deploy.deployment.file import load_deployment
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.host.regular_file import open_regular, read_regular
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.goldens import read_goldens
from tfs_deploy.savedmodel.manifest import read_manifest
from tfs_deploy.savedmodel.warmup import read_warmup
from tfs_deploy.store.verdict import read_verdict

MODEL = Path(__file__).parents[2] / "data" / "models" / "saved_model_half_plus_two_cpu" / "00000123"


def test_a_regular_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"text")
    (tmp_path / "b").symlink_to("a")
    assert read_regular(tmp_path / "b") == b"text"
    with open_regular(str(tmp_path / "a")) as file:
        assert file.read(2) == b"te"


def test_what_is_not_regular_is_an_error_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(OSError, match="not a regular file"):
            read_regular(path)
    with pytest.raises(IsADirectoryError):
        read_regular(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("saved_model.pb", inspect_model),
        ("variables/variables.index", inspect_model),
        ("assets.extra/tf_serving_warmup_requests", lambda folder: list(read_warmup(folder))),
        ("assets.extra/tfs_deploy.json", read_manifest),
        ("assets.extra/goldens/goldens.json", read_goldens),
        ("shop.yaml", lambda folder: load_deployment(folder / "shop.yaml")),
        ("verdict.json", lambda folder: read_verdict(folder / "verdict.json")),
        ("ca.pem", lambda folder: Tls(ca=folder / "ca.pem").credentials()),
    ],
)
def test_every_reader_refuses_a_pipe(tmp_path: Path, name: str, read: object) -> None:
    folder = tmp_path / "1"
    shutil.copytree(MODEL, folder)
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).unlink(missing_ok=True)
    os.mkfifo(folder / name)
    with pytest.raises(TfsDeployError, match=r"not a regular file|is not a file"):
        read(folder)  # type: ignore[operator]
