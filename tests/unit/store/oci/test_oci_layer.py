# SPDX-License-Identifier: Apache-2.0
"""Layers of versions: tars that every program reads, the same on every machine."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile

import pytest

from tfs_deploy.savedmodel.manifest import FileEntry
from tfs_deploy.store.places.oci.layer import Layer, layers_of, plan_layers

LONG = "assets/" + "x" * 120 + ".txt"
CONTENT = {
    "saved_model.pb": b"graph" * 300,
    "variables/variables.index": b"i" * 512,
    "variables/variables.data-00000-of-00001": bytes(range(256)) * 17,
    "assets/empty": b"",
    "assets/Wörter 語.txt": "naïve".encode(),
    LONG: b"long",
}
FILES = {name: FileEntry(hashlib.sha256(data).hexdigest(), len(data)) for name, data in CONTENT.items()}


def whole(layer: Layer) -> bytes:
    return b"".join(layer.chunks(lambda name: iter([CONTENT[name]])))


def test_a_layer_is_a_tar_with_the_number_above_the_files_and_nothing_of_its_machine():
    (layer,) = plan_layers(7, FILES)
    data = whole(layer)
    assert len(data) == layer.size
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        members = tar.getmembers()
        files = {member.name: tar.extractfile(member).read() for member in members if member.isfile()}
    assert files == {f"7/{name}": content for name, content in CONTENT.items()}
    assert [member.name for member in members if member.isdir()] == ["7", "7/assets", "7/variables"]
    assert {(m.uid, m.gid, m.uname, m.gname, m.mtime) for m in members} == {(0, 0, "", "", 0)}
    assert {member.mode for member in members} == {0o644, 0o755}


def test_the_digest_of_a_layer_is_the_same_on_every_machine():
    # with another Python, or after a change of this module, it must not be another one
    digests = [hashlib.sha256(whole(layer)).hexdigest() for layer in plan_layers(7, FILES)]
    assert digests == ["94a2f8eb81ef2a6df86e55f7b47f37f7aaf9c26868739ff3bdef1adbe1bdb041"]
    shuffled = dict(random.Random(1).sample(sorted(FILES.items()), len(FILES)))
    assert [hashlib.sha256(whole(layer)).hexdigest() for layer in plan_layers(7, shuffled)] == digests


@pytest.mark.parametrize("size", [1, 7, 512, 1000, 1 << 20])
def test_files_are_found_in_a_tar_however_it_is_cut(size):
    (layer,) = plan_layers(7, FILES)
    data = whole(layer)
    found: dict[str, bytes] = {}
    for name, piece in layer.files(data[start : start + size] for start in range(0, len(data), size)):
        found[name] = found.get(name, b"") + bytes(piece)
    assert found == CONTENT
    assert list(found) == sorted(CONTENT)
    for member in layer.members:
        assert data[member.offset : member.offset + member.size] == CONTENT[member.name]


def test_a_tar_that_ends_early_has_no_more_files():
    (layer,) = plan_layers(7, FILES)
    last = layer.members[-1]
    found = dict(layer.files([whole(layer)[: last.offset]]))
    assert last.name not in found


def test_large_versions_have_several_layers_each_complete_in_itself():
    layers = plan_layers(7, FILES, least=1000)
    assert [[member.name for member in layer.members] for layer in layers] == [
        ["assets/Wörter 語.txt", "assets/empty", LONG, "saved_model.pb"],
        ["variables/variables.data-00000-of-00001"],
        ["variables/variables.index"],
    ]
    for layer in layers:
        with tarfile.open(fileobj=io.BytesIO(whole(layer))) as tar:
            assert tar.getnames()[0] == "7"
    assert layers_of(7, FILES, [4, 1, 1]) == layers


@pytest.mark.parametrize(("files", "size"), [(1, 5 << 30), (300, 1 << 10), (300, 100 << 30), (1000, 10 << 20)])
def test_there_are_never_more_layers_than_a_file_system_takes(files, size):
    layers = plan_layers(7, {f"assets/{index}": FileEntry("0" * 64, size) for index in range(files)})
    assert 1 <= len(layers) <= 33
    assert sum(len(layer.members) for layer in layers) == files


@pytest.mark.parametrize("counts", [[], [5], [7], [6, 0], [-1, 7], [3, 4]])
def test_layers_that_do_not_have_all_files_are_refused(counts):
    with pytest.raises(ValueError, match="other files"):
        layers_of(7, FILES, counts)
