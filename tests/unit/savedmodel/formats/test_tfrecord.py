# SPDX-License-Identifier: Apache-2.0
"""TFRecord framing and its checksum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.errors import ModelError
from tfs_deploy.savedmodel.formats import crc32c as crc
from tfs_deploy.savedmodel.formats.tfrecord import count_records, frame, read_records, write_records


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),  # the four vectors of RFC 3720, B.4
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
    ],
)
def test_checksums_of_the_standard(data: bytes, checksum: int) -> None:
    assert crc.crc32c(data) == checksum


@given(st.binary(min_size=1, max_size=64), st.integers(1, 20_000), st.integers(0, 2**32 - 1))
def test_wide_and_plain_agree(pattern: bytes, size: int, start: int) -> None:
    data = (pattern * (size // len(pattern) + 1))[:size]
    assert crc.crc32c(data, start) == crc._plain(data, start)


@given(st.binary(max_size=9000), st.integers(0, 9000))
def test_a_checksum_can_be_continued(data: bytes, cut: int) -> None:
    assert crc.crc32c(data[cut:], crc.crc32c(data[:cut])) == crc.crc32c(data)


@given(st.integers(0, 2**32 - 1))
def test_unmask_undoes_mask(value: int) -> None:
    assert crc.unmask(crc.mask(value)) == value


def test_round_trip(tmp_path) -> None:
    records = [b"", b"a", bytes(5000), b"last"]
    assert write_records(tmp_path / "r", records) == 4
    assert list(read_records(tmp_path / "r")) == records
    assert count_records(tmp_path / "r") == 4


def test_an_empty_file_has_no_records(tmp_path) -> None:
    write_records(tmp_path / "r", [])
    assert list(read_records(tmp_path / "r")) == []


@given(data=st.data())
def test_every_flipped_bit_and_every_cut_is_found(data, tmp_path_factory) -> None:
    path = tmp_path_factory.getbasetemp() / "flipped"
    whole = frame(b"first") + frame(b"second record")
    if data.draw(st.booleans(), label="cut"):
        damaged = whole[: data.draw(st.integers(1, len(whole) - 1))]
        if len(damaged) == len(frame(b"first")):
            return
    else:
        position = data.draw(st.integers(0, len(whole) * 8 - 1))
        changed = bytearray(whole)
        changed[position // 8] ^= 1 << position % 8
        damaged = bytes(changed)
    path.write_bytes(damaged)
    with pytest.raises(ModelError, match=f"{path}: record [01]"):
        list(read_records(path))


@pytest.mark.tensorflow
def test_tensorflow_reads_what_we_write_and_the_reverse(tmp_path) -> None:
    import tensorflow as tf

    records = [b"one", bytes(range(256)) * 100]
    write_records(tmp_path / "ours", records)
    assert [r.numpy() for r in tf.data.TFRecordDataset(str(tmp_path / "ours"))] == records
    with tf.io.TFRecordWriter(str(tmp_path / "theirs")) as writer:
        for record in records:
            writer.write(record)
    assert list(read_records(tmp_path / "theirs")) == records
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
