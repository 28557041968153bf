# SPDX-License-Identifier: Apache-2.0
"""The variables index: tables, Snappy blocks, entries, checksums."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel import inspect_model
from tfs_deploy.savedmodel.formats.bundle import _plain_name, read_bundle, verify_bundle
from tfs_deploy.savedmodel.formats.crc32c import masked_crc32c
from tfs_deploy.savedmodel.formats.snappy import uncompress
from tfs_deploy.savedmodel.formats.sstable import read_table
from tfs_deploy.savedmodel.formats.wire import WireError

DATA_FILE = "variables/variables.data-00000-of-00001"


def length_prefix(count: int) -> bytes:
    out = bytearray()
    while count > 0x7F:
        out.append(count & 0x7F | 0x80)
        count >>= 7
    return bytes([*out, count])


@given(
    parts=st.lists(
        st.one_of(
            st.binary(min_size=1, max_size=300).map(lambda data: ("literal", data)),
            st.tuples(st.just("copy"), st.integers(1, 400), st.integers(1, 64), st.sampled_from([1, 2, 4])),
        ),
        max_size=12,
    )
)
def test_snappy_blocks_are_unpacked(parts) -> None:
    packed, expected = bytearray(), bytearray()
    for part in parts:
        if part[0] == "literal":
            data = part[1]
            size = len(data) - 1
            if size < 60:
                packed.append(size << 2)
            else:
                packed += bytes([61 << 2]) + struct.pack("<H", size)
            packed += data
            expected += data
            continue
        _, offset, size, width = part
        if offset > len(expected):
            continue
        if width == 1:
            size = 4 + size % 8
            packed += bytes([(offset >> 8) << 5 | (size - 4) << 2 | 1, offset & 0xFF])
        else:
            packed += bytes([(size - 1) << 2 | (2 if width == 2 else 3)]) + offset.to_bytes(width, "little")
        for _ in range(size):
            expected.append(expected[-offset])
    assert uncompress(length_prefix(len(expected)) + bytes(packed)) == bytes(expected)


@given(st.binary(max_size=60))
def test_any_snappy_bytes_end(data: bytes) -> None:
    with contextlib.suppress(WireError):
        assert len(uncompress(data)) <= 24 * len(data)


def test_values_come_out_of_the_data_file(real_model) -> None:
    """Entries are right if the numbers they point at are: all test models have these weights."""
    bundle = read_bundle(real_model)
    assert bundle is not None
    known = {"a": {0.5}, "b": {2.0, 3.0}, "c": {3.0}, "counter": {0.0}, "a2": {0.5}, "c2": {3.0}, "k": {0.5}}
    for entry in bundle.entries:
        name = entry.name.removesuffix("/.ATTRIBUTES/VARIABLE_VALUE")
        if name in known:
            data = bundle.shards[entry.shard].read_bytes()[entry.offset : entry.offset + entry.size]
            assert np.frombuffer(data, np.float32)[0] in known[name] | {1.0, -1.0, 0.1, 0.25}
    assert verify_bundle(bundle) == []


def test_a_model_without_variables(write_model) -> None:
    assert read_bundle(write_model()) is None


@pytest.mark.parametrize("model", ["saved_model_half_plus_two_cpu/00000123", "zoo/2"])
def test_every_flipped_byte_of_the_index_is_found(copy_model, model: str) -> None:
    folder = copy_model(model)
    index = folder / "variables" / "variables.index"
    data = index.read_bytes()
    footer = len(data) - 48
    for position in range(0, len(data), 3):
        # Between its two handles and the magic number the footer is padding that nobody reads.
        if footer + 4 <= position < len(data) - 8:
            continue
        index.write_bytes(data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :])
        with pytest.raises(ModelError, match=r"variables\.index is damaged"):
            read_bundle(folder)


@pytest.mark.parametrize("model", ["saved_model_half_plus_three/00000123", "zoo/2"])
def test_every_flipped_bit_of_the_data_is_found(copy_model, model: str) -> None:
    """zoo has a string tensor among the variables, whose checksum covers its lengths in another form."""
    folder = copy_model(model)
    path = folder / DATA_FILE
    data = path.read_bytes()
    for position in range(0, len(data), max(1, len(data) // 40)):
        path.write_bytes(data[:position] + bytes([data[position] ^ 4]) + data[position + 1 :])
        with pytest.raises(ModelError, match="does not match its checksum") as caught:
            inspect_model(folder)
        assert caught.value.message.startswith(str(path))


def test_lengths_of_texts_that_do_not_end_are_damage(copy_model) -> None:
    folder = copy_model()
    path = folder / DATA_FILE
    path.write_bytes(b"\xff" * path.stat().st_size)
    bundle = read_bundle(folder)
    assert bundle is not None
    # the object graph is a text
    assert "_CHECKPOINTABLE_OBJECT_GRAPH" in {name for _, name in verify_bundle(bundle)}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda folder: (folder / "variables/variables.index").unlink(),
            r"variables\.index does not exist, but its data",
        ),
        (
            lambda folder: (folder / "variables/variables.index").write_bytes(b""),
            r"variables\.index is damaged: it has 0",
        ),
        (lambda folder: (folder / DATA_FILE).unlink(), r"00001 does not exist, but the index names it"),
        (lambda folder: (folder / DATA_FILE).write_bytes(b""), r"00001 has 0 bytes, but its index needs 1252"),
        (lambda folder: (folder / "variables/variables.index").write_bytes(bytes(500)), "does not end like a table"),
    ],
)
def test_missing_and_empty_files_are_named(copy_model, damage, message: str) -> None:
    folder = copy_model()
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        inspect_model(folder)
    assert str(folder) in caught.value.message


def table(*blocks: bytes, order=None) -> bytes:
    """Write a table of these blocks of entries; ``order`` names the blocks in the index."""
    out, handles = bytearray(), []

    def add(content: bytes) -> bytes:
        content += struct.pack("<II", 0, 1)
        handle = length_prefix(len(out)) + length_prefix(len(content))
        out.extend(content + b"\0" + struct.pack("<I", masked_crc32c(content + b"\0")))
        return handle

    handles = [add(block) for block in blocks]
    index = b"".join(entry(bytes([n]), handles[n]) for n in (order or range(len(blocks))))
    footer = add(b"") + add(index)
    return bytes(out) + footer.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def entry(key: bytes, value: bytes, shared: int = 0) -> bytes:
    return length_prefix(shared) + length_prefix(len(key)) + length_prefix(len(value)) + key + value


def test_keys_share_beginnings(tmp_path) -> None:
    (tmp_path / "t").write_bytes(table(entry(b"dense", b"1") + entry(b"/bias", b"2", 5), entry(b"x", b"3")))
    assert list(read_table(tmp_path / "t")) == [(b"dense", b"1"), (b"dense/bias", b"2"), (b"x", b"3")]


def test_an_index_that_repeats_a_block_is_refused(tmp_path) -> None:
    (tmp_path / "t").write_bytes(table(entry(b"a", b"1"), order=[0] * 100))
    with pytest.raises(WireError, match="out of order"):
        list(read_table(tmp_path / "t"))


@pytest.mark.parametrize("block", [entry(b"a", b"1", 3), b"\x00\x05\x05ab", b"\x80" * 12])
def test_entries_that_leave_their_block_are_refused(tmp_path, block: bytes) -> None:
    (tmp_path / "t").write_bytes(table(block))
    with pytest.raises(WireError):
        list(read_table(tmp_path / "t"))


@pytest.mark.tensorflow
def test_the_index_as_tensorflow_reads_it(tmp_path) -> None:
    """Many variables (several blocks), all dtypes, scalars, empty ones, a partitioned one."""
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default():
        for number in range(400):
            v1.get_variable(f"layer_{number}/kernel", [number % 7, 3], dtype=tf.float32)
        for dtype in (tf.float16, tf.bfloat16, tf.float64, tf.int8, tf.uint16, tf.int64, tf.bool, tf.complex64):
            v1.get_variable(f"typed/{dtype.name}", [2], dtype=dtype, initializer=v1.zeros_initializer())
        v1.get_variable("text", initializer=tf.constant(["", "grüße", "x" * 300]))
        v1.get_variable("big", [100_000])
        v1.get_variable("parts", [10, 4], partitioner=v1.fixed_size_partitioner(3))
        saver = v1.train.Saver()
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            saver.save(session, str(tmp_path / "variables" / "variables"), write_meta_graph=False)
    bundle = read_bundle(tmp_path)
    reader = tf.train.load_checkpoint(str(tmp_path / "variables" / "variables"))
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    assert {v.name: list(v.shape) for v in bundle.variables} == shapes
    assert {v.name: v.dtype for v in bundle.variables} == {name: dtype.name for name, dtype in dtypes.items()}
    sizes = {v.name: v.bytes for v in bundle.variables}
    assert sizes["parts"] == 160
    assert sizes["big"] == 400_000
    assert bundle.stored_bytes == (tmp_path / DATA_FILE).stat().st_size
    assert verify_bundle(bundle) == []
    data = bytearray((tmp_path / DATA_FILE).read_bytes())
    data[-100] ^= 1
    (tmp_path / DATA_FILE).write_bytes(data)
    assert len(verify_bundle(bundle)) == 1


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("variables.Sdense.Skernel/.ATTRIBUTES/VARIABLE_VALUE", "variables/dense/kernel"),
        ("layer/a..b/.ATTRIBUTES/VARIABLE_VALUE", "layer/a.b"),
        ("odd...Sname/.ATTRIBUTES/VARIABLE_VALUE", "odd./name"),
        ("scope/of.Stf1", "scope/of.Stf1"),
    ],
)
def test_variables_have_the_names_that_their_owners_gave(key, name) -> None:
    assert _plain_name(key) == name
