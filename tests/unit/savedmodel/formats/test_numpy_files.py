# SPDX-License-Identifier: Apache-2.0
"""Damaged files of NumPy are one kind of error, and a small one does not become large."""

from __future__ import annotations

import io
import json
import random
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tfs_deploy.cli.shared.input_values import read_inputs
from tfs_deploy.errors import ModelError, UsageError
from tfs_deploy.rollout.adapters.replay import requests_in_file
from tfs_deploy.savedmodel.formats.numpy_files import NumpyFileError, read_npy, read_npz
from tfs_deploy.savedmodel.goldens import read_goldens
from tfs_deploy.verify.measure.data_sets import read_data_set


def saved(save: Callable[..., None], *arrays: Any, **members: Any) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **members)
    return file.getvalue()


MEMBERS = {"x": np.arange(6, dtype=np.float32), "y": np.array(["a", "bc"] * 3)}
NPZ = saved(np.savez, **MEMBERS)
FILES = {
    "npy": (saved(np.save, np.arange(12.0).reshape(3, 4)), read_npy),
    "npz": (NPZ, read_npz),
    "packed": (saved(np.savez_compressed, **MEMBERS), read_npz),
}


def damaged(data: bytes) -> list[bytes]:
    rng = random.Random(1)
    found = [data[:end] for end in range(len(data))]
    for _ in range(1500):
        flipped = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            flipped[rng.randrange(len(data))] = rng.randrange(256)
        found.append(bytes(flipped))
    return found


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FILES)
def test_damage_is_one_kind_of_error(kind: str) -> None:
    data, read = FILES[kind]
    said = [said_of(read, each) for each in damaged(data)]
    assert len([each for each in said if each]) >= len(data)
    assert not [each for each in said if "\n" in each]


def said_of(read: Callable[[Any], Any], data: bytes) -> str:
    try:
        read(io.BytesIO(data))
    except NumpyFileError as error:
        return str(error)
    return ""


def test_what_is_whole_is_read() -> None:
    assert read_npy(io.BytesIO(FILES["npy"][0])).shape == (3, 4)
    for kind in ("npz", "packed"):
        read = read_npz(io.BytesIO(FILES[kind][0]))
        assert {name: array.tolist() for name, array in read.items()} == {
            name: array.tolist() for name, array in MEMBERS.items()
        }
    for read, data in ((read_npy, NPZ), (read_npz, FILES["npy"][0])):
        with pytest.raises(NumpyFileError, match="it "):
            read(io.BytesIO(data))


@pytest.mark.parametrize("cut", [0, 10, 100, len(NPZ) - 10])
def test_every_reader_of_archives_says_so(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(NPZ[:cut])
    for read in (read_data_set, requests_in_file, lambda path: read_inputs([f"@{path}"], {})):
        with pytest.raises(UsageError, match=r"x\.npz"):
            read(path)


def test_goldens_that_unpack_to_gigabytes_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "assets.extra/goldens"
    folder.mkdir(parents=True)
    (folder / "goldens.json").write_text(json.dumps({"format": 1, "goldens": []}))
    header = saved(np.save, np.zeros((1 << 27,), np.float32)[:1]).replace(b"(1,), }" + b" " * 9, b"(134217728,), }")
    with (
        zipfile.ZipFile(folder / "tensors.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("x.npy", "w") as file,
    ):
        file.write(header)
        for _ in range(512):
            file.write(bytes(1 << 20))
    tracemalloc.start()
    with pytest.raises(ModelError, match="bytes unpacked, more than"):
        read_goldens(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20
