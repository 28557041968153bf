# SPDX-License-Identifier: Apache-2.0
"""A deployment file cut anywhere, or with NUL in it: loaded or refused with a sentence, never a traceback."""

from __future__ import annotations

import contextlib
import os
import random
from pathlib import Path

import pytest

from tfs_deploy.deployment.file.loader import load
from tfs_deploy.errors import SpecError, TfsDeployError

REFERENCE = Path(__file__).parents[4] / "configs" / "reference.yaml"


def read(path: Path) -> None:
    load(path, check_disk=True, allow_latest=True)


def test_cut_anywhere(tmp_path: Path) -> None:
    data = REFERENCE.read_bytes()
    cuts = list(range(len(data)))
    if not os.environ.get("TFS_DEPLOY_FULL"):
        cuts = random.Random(16).sample(cuts, 30)
    for cut in cuts:
        (tmp_path / "d.yaml").write_bytes(data[:cut])
        with contextlib.suppress(TfsDeployError):
            read(tmp_path / "d.yaml")


@pytest.mark.parametrize(
    "text",
    [
        'models: {m: {base_path: "a\\0b"}}',
        'state: "a\\0b"\nmodels: {m: {base_path: /tmp}}',
        'models: {"m\\0": {base_path: /tmp}}',
        'models: {m: {base_path: /tmp, labels: {"a\\0": 1}}}',
    ],
)
def test_nul_in_a_value(tmp_path: Path, text: str) -> None:
    (tmp_path / "d.yaml").write_text(text)
    with pytest.raises(SpecError, match="NUL"):
        read(tmp_path / "d.yaml")


def test_nul_in_the_path_of_the_file() -> None:
    with pytest.raises(TfsDeployError, match="NUL"):
        read(Path("a\0b"))
