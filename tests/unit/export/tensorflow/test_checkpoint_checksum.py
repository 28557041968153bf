# SPDX-License-Identifier: Apache-2.0
"""Checksums of variables that are hashed before TensorFlow writes them: used where they hold, never where not."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tfs_deploy.export.tensorflow.checkpoint_checksum import Head, HeadHasher, memory_of, save_options
from tfs_deploy.export.tensorflow.hashing import Hasher
from tfs_deploy.savedmodel.formats.bundle import read_bundle
from tfs_deploy.savedmodel.manifest import FileEntry, build_manifest, verify_manifest

pytestmark = pytest.mark.tensorflow
DATA = "variables/variables.data-00000-of-00001"


def module_of(**values):
    import tensorflow as tf

    module = tf.Module()
    for name, value in values.items():
        setattr(module, name, tf.Variable(value, name=name))
    return module


def save_hashed(module, folder, variables, before_writing=lambda: None):
    """Save as the exporter does; return what the manifest says of the data file, and the head that was hashed ahead."""
    import tensorflow as tf

    with Hasher(folder) as hasher:
        ahead = HeadHasher(variables)
        hasher.expect(ahead)
        before_writing()
        tf.saved_model.save(module, str(folder), options=save_options(ahead))
        head = ahead.head()
    return build_manifest(folder, signature_digest="", known=hasher.entries).files[DATA], head


def on_disk(folder: Path) -> FileEntry:
    data = (folder / DATA).read_bytes()
    return FileEntry(hashlib.sha256(data).hexdigest(), len(data))


def test_variables_in_the_order_of_the_checkpoint_are_hashed_before_they_are_written(tmp_path):
    module = module_of(a=np.arange(6.0), b=np.ones((300, 200), np.float32), c=np.array([True, False]))
    entry, head = save_hashed(module, tmp_path, [module.a, module.b, module.c])
    assert [key.partition("/")[0] for key, _ in head.tensors] == ["a", "b", "c"]
    assert head.size == 6 * 8 + 300 * 200 * 4 + 2
    assert entry == on_disk(tmp_path)


def test_what_comes_in_another_order_is_hashed_from_the_file(tmp_path):
    module = module_of(a=np.arange(6.0), b=np.ones((300, 200), np.float32), c=np.arange(6.0) + 1)
    entry, head = save_hashed(module, tmp_path, [module.a, module.c, module.b])
    assert [key.partition("/")[0] for key, _ in head.tensors] == ["a"]
    assert entry == on_disk(tmp_path)


def test_a_variable_that_changed_meanwhile_is_hashed_as_it_was_written(tmp_path):
    module = module_of(a=np.arange(6.0), b=np.zeros(1000), c=np.arange(3.0))
    entry, head = save_hashed(
        module, tmp_path, [module.a, module.b, module.c], lambda: module.b.assign_add(np.ones(1000))
    )
    assert [key.partition("/")[0] for key, _ in head.tensors] == ["a"]
    assert entry == on_disk(tmp_path)


def test_a_variable_that_was_updated_by_rows_is_hashed_as_it_was_written(tmp_path):
    module = module_of(a=np.arange(6.0), b=np.zeros(1000))

    def update():
        module.b.scatter_nd_update([[0], [7]], [1.0, 2.0])

    update()  # from now on every read is a copy
    entry, head = save_hashed(module, tmp_path, [module.a, module.b], update)
    assert head.size == 48
    assert entry == on_disk(tmp_path)


@pytest.mark.parametrize("dtype", ["bfloat16", "string", "empty"])
def test_what_has_no_readable_memory_ends_the_head(tmp_path, dtype):
    import tensorflow as tf

    value = {
        "bfloat16": tf.zeros([4], tf.bfloat16),
        "string": tf.constant(["one", "two"]),
        "empty": tf.zeros([0, 3]),
    }[dtype]
    module = module_of(a=np.arange(6.0), b=value, c=np.arange(3.0))
    assert memory_of(module.b.read_value()) is None
    entry, head = save_hashed(module, tmp_path, [module.a, module.b, module.c])
    assert head.size == 48
    assert entry == on_disk(tmp_path)


def test_a_model_without_variables(tmp_path):
    entry, head = save_hashed(module_of(), tmp_path, [])
    assert head is None
    assert entry == on_disk(tmp_path)


def test_an_index_with_other_tensors_at_these_places_is_believed(tmp_path):
    module = module_of(a=np.arange(6.0), b=np.zeros(10))
    _, head = save_hashed(module, tmp_path, [module.a, module.b])
    bundle, path = read_bundle(tmp_path), tmp_path / DATA
    (a, size_a), (b, size_b) = head.tensors
    assert head.leads(bundle, path)
    for tensors in [((b, size_a), (a, size_b)), ((a, size_b), (b, size_a)), ((a, 8),), ((b, size_b),)]:
        assert not replace(head, tensors=tensors).leads(bundle, path)
    assert not head.leads(bundle, path.with_name("variables.data-00000-of-00002"))
    assert not head.leads(replace(bundle, shards={0: path, 1: path}), path)


def test_a_head_that_the_file_does_not_begin_with_is_not_used(tmp_path):
    import tensorflow as tf

    module = module_of(a=np.arange(6.0), b=np.ones(5))
    with Hasher(tmp_path) as hasher:
        ahead = HeadHasher([module.b])
        ahead.written([("b/.ATTRIBUTES/VARIABLE_VALUE", module.b.read_value())])
        hasher.expect(ahead)
        tf.saved_model.save(module, str(tmp_path))
    assert hasher.entries == {}


def test_a_save_that_fails_stops_the_hash_and_gives_back_the_memory(tmp_path):
    module = module_of(a=np.zeros(1 << 22))
    made = []

    def fail():
        with Hasher(tmp_path) as hasher:
            made.append(HeadHasher([module.a]))
            hasher.expect(made[0])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not made[0].busy()
    assert made[0]._views == []


def test_an_export_hashes_all_variables_ahead(tmp_path, monkeypatch):
    """The order that the exporter foretells is the one in which TensorFlow writes."""
    import keras

    import tfs_deploy as td

    heads = []
    leads = Head.leads
    monkeypatch.setattr(Head, "leads", lambda head, *place: heads.append(head) or leads(head, *place))
    layers = [keras.layers.Dense(16 + number) for number in range(12)]
    model = keras.Sequential([keras.Input((8,), name="x"), *layers, keras.layers.Dense(2, name="y")])
    exported = td.export_model(model, tmp_path / "model", check=False)
    assert sum(head.size for head in heads) == 4 * model.count_params()
    assert exported.manifest.files[DATA] == on_disk(exported.path)
    assert verify_manifest(exported.path) == []
