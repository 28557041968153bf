# SPDX-License-Identifier: Apache-2.0
"""Every file of a version, cut anywhere: it is read, refused with a sentence or remarked on, never a traceback."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfs_deploy import protos
from tfs_deploy.errors import TfsDeployError
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.goldens import Golden, read_goldens, write_goldens
from tfs_deploy.savedmodel.manifest import build_manifest, read_manifest, write_manifest
from tfs_deploy.savedmodel.review import review_files, review_goldens, review_lint, review_manifest, review_warmup
from tfs_deploy.savedmodel.warmup import read_warmup, write_warmup

#: cuts of a file in the short form
FEW = 15


def read_all(version: Path) -> None:
    for read in (read_goldens, read_manifest, review_manifest, lambda folder: list(read_warmup(folder))):
        with contextlib.suppress(TfsDeployError):
            read(version)
    with contextlib.suppress(TfsDeployError):
        info = inspect_model(version)
        for review in (review_files, review_lint, review_goldens, review_warmup):
            review(info)


def test_every_file_of_a_version_cut_anywhere(copy_model: Callable[..., Path]) -> None:
    version = copy_model()
    x = np.ones((2, 1), np.float32)
    write_goldens(version, [Golden("serving_default", {"x": x}, {"y": x})])
    write_warmup(version, [protos.PredictRequest()])
    write_manifest(version, build_manifest(version, signature_digest=""))
    files = sorted(path for path in version.rglob("*") if path.is_file())
    assert len(files) >= 5
    chosen = random.Random(16)
    for path in files:
        data = path.read_bytes()
        cuts: Any = range(len(data))
        if not os.environ.get("TFS_DEPLOY_FULL"):
            cuts = chosen.sample(cuts, min(FEW, len(data)))
        for cut in cuts:
            path.write_bytes(data[:cut])
            read_all(version)
        path.write_bytes(data)


@pytest.mark.parametrize("read", [inspect_model, read_manifest, read_goldens])
def test_a_path_with_nul(read: Callable[[Path], Any]) -> None:
    with contextlib.suppress(TfsDeployError):
        read(Path("a\0b"))
