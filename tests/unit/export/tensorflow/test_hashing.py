# SPDX-License-Identifier: Apache-2.0
"""Checksums of files that are still being written."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from tfs_deploy.export.tensorflow.hashing import Hasher
from tfs_deploy.savedmodel.manifest import FileEntry, build_manifest


def entry_of(data: bytes) -> FileEntry:
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data))


def test_a_file_that_grows_and_is_renamed(tmp_path):
    pieces = [os.urandom(700_000) for _ in range(5)]
    temporary = tmp_path / "variables" / "variables_temp" / "part-00000-of-00001.data-00000-of-00001.tempstate17"
    final = tmp_path / "variables" / "variables.data-00000-of-00001"
    with Hasher(tmp_path) as hasher:
        temporary.parent.mkdir(parents=True)
        with temporary.open("wb") as file:
            for number, piece in enumerate(pieces):
                file.write(piece)
                file.flush()
                if number == 2:
                    wait_until_followed(hasher)
        temporary.rename(final)
        temporary.parent.rmdir()
        (tmp_path / "saved_model.pb").write_bytes(b"graph")
    assert hasher.entries == {"variables/variables.data-00000-of-00001": entry_of(b"".join(pieces))}
    manifest = build_manifest(tmp_path, signature_digest="", known=hasher.entries)
    assert manifest.files["variables/variables.data-00000-of-00001"] == entry_of(b"".join(pieces))
    assert manifest.files["saved_model.pb"] == entry_of(b"graph")


def wait_until_followed(hasher: Hasher) -> None:
    deadline = time.monotonic() + 20
    while not any(growing.size for growing in list(hasher._files.values())):
        assert time.monotonic() < deadline


def test_files_that_are_not_only_appended_to_are_left_to_the_manifest(tmp_path):
    (tmp_path / "variables").mkdir()
    with Hasher(tmp_path) as hasher:
        (tmp_path / "variables" / "variables.index").write_bytes(b"index")
    assert hasher.entries == {}


def test_a_file_that_was_removed_and_made_again_is_hashed_anew(tmp_path):
    path = tmp_path / "variables" / "variables.data-00000-of-00001"
    path.parent.mkdir()
    with Hasher(tmp_path) as hasher:
        path.write_bytes(b"first")
        wait_until_followed(hasher)
        path.unlink()
        path.write_bytes(b"second")
    manifest = build_manifest(tmp_path, signature_digest="", known=hasher.entries)
    assert manifest.files["variables/variables.data-00000-of-00001"] == entry_of(b"second")


def test_nothing_stays_open_after_a_failure(tmp_path):
    path = tmp_path / "variables" / "variables.data-00000-of-00001"
    path.parent.mkdir()
    before = open_files()

    def fail(hasher: Hasher) -> None:
        path.write_bytes(b"partly")
        wait_until_followed(hasher)
        raise RuntimeError

    with pytest.raises(RuntimeError), Hasher(tmp_path) as hasher:
        fail(hasher)
    assert hasher.entries == {}
    assert open_files() == before


def open_files() -> set[str]:
    links = list(Path("/proc/self/fd").iterdir())
    return {str(link.readlink()) for link in links if link.is_symlink()} - {"/proc/self/fd"}
