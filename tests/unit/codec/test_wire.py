# SPDX-License-Identifier: Apache-2.0
"""The wire format at its edges: what is read, and what is refused."""

from __future__ import annotations

import pytest

from tfs_deploy.codec.wire import MalformedError, delimited, read_varint, scan, signed, text, varint

VARINTS = {
    0: b"\0",
    1: b"\x01",
    127: b"\x7f",
    128: b"\x80\x01",
    129: b"\x81\x01",
    16383: b"\xff\x7f",
    16384: b"\x80\x80\x01",
    2**63: b"\x80" * 9 + b"\x01",
    2**64 - 1: b"\xff" * 9 + b"\x01",
    -1: b"\xff" * 9 + b"\x01",
    -(2**63): b"\x80" * 9 + b"\x01",
}


@pytest.mark.parametrize("value", VARINTS)
def test_varints_on_both_sides_of_each_length(value):
    assert varint(value) == VARINTS[value]
    assert read_varint(b"\xff" + VARINTS[value] + b"\xff", 1) == (value % 2**64, 1 + len(VARINTS[value]))
    assert signed(value % 2**64) == (value if value < 2**63 else value - 2**64)


def test_a_varint_has_ten_bytes_at_most_and_64_bits():
    assert read_varint(b"\x80" * 9 + b"\x7f", 0) == (2**63, 10)
    with pytest.raises(MalformedError, match="longer than ten bytes"):
        read_varint(b"\x80" * 10 + b"\x01", 0)
    with pytest.raises(IndexError):
        read_varint(b"\x80\x80", 0)


@pytest.mark.parametrize("size", [0, 1, 127, 128, 129, 255, 16383, 16384])
def test_a_field_of_each_size(size):
    data = delimited(b"\x0a", b"x" * size)
    assert data == b"\x0a" + varint(size) + b"x" * size
    start = len(data) - size
    assert scan(data, 0, len(data)) == [(0x0A, start, len(data))]
    with pytest.raises(MalformedError, match="beyond its message"):
        scan(data, 0, len(data) - 1)


@pytest.mark.parametrize("number", [1, 15, 16, 17, 2047, 2048])
def test_a_field_of_each_number_and_kind(number):
    for kind, payload, start, stop in (
        *((0, b"\x05", 5, 1), (1, b"12345678", 0, 8), (2, b"\x00", 1, 1), (5, b"1234", 0, 4)),
    ):
        key = varint(number << 3 | kind)
        data = key + payload
        begin = start if kind == 0 else len(key) + start
        assert scan(data, 0, len(data)) == [(number << 3 | kind, begin, len(key) + stop)]


def test_fields_are_listed_in_their_order_within_the_bounds_that_are_given():
    data = b"\xff\x08\x01\x12\x01x\x0d1234\x11" + b"12345678" + b"\xff"
    assert scan(data, 1, len(data) - 1) == [(8, 1, 3), (18, 5, 6), (13, 7, 11), (17, 12, 20)]
    assert scan(data, 3, 3) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x00\x01", "field number 0"),
        (b"\x02\x00", "field number 0"),
        (b"\x05" + b"1234", "field number 0"),
        (b"\x0e\x01", "unknown wire type 6"),
        (b"\x0f\x01", "unknown wire type 7"),
        (b"\x0c", "unknown wire type 4"),
        (b"\x08", "within a field"),
        (b"\x08\x80", "within a field"),
        (b"\x0a", "within a field"),
        (b"\x0a\x80", "within a field"),
        (b"\x0d123", "beyond its message"),
        (b"\x09" + b"1234567", "beyond its message"),
        (b"\x80", "within a field"),
    ],
)
def test_what_is_not_a_message(data, message):
    with pytest.raises(MalformedError, match=message):
        scan(data, 0, len(data))


BEGIN, END = b"\x0b", b"\x0c"


@pytest.mark.parametrize(
    "inside",
    [
        *(b"", b"\x08\x01", b"\x08\x80\x01", b"\x12\x02ab", b"\x15" + b"1234", b"\x11" + b"12345678"),
        *(b"\x13\x14", b"\x13\x08\x01\x14\x12\x01a", BEGIN * 99 + END * 99),
    ],
)
def test_groups_are_stepped_over(inside):
    data = BEGIN + inside + END + b"\x10\x07"
    assert scan(data, 0, len(data)) == [(16, 7, len(data))]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (BEGIN, "does not end"),
        (BEGIN + b"\x08\x01", "does not end"),
        (BEGIN + b"\x14", "did not start"),
        (BEGIN + b"\x13\x0c", "did not start"),
        (BEGIN + b"\x0e", "did not start"),
        (BEGIN + b"\x12\x05a", "does not end"),
        (BEGIN + b"\x08", "within a field"),
        (BEGIN * 101 + END * 101, "does not end"),
    ],
)
def test_groups_that_do_not_end(data, message):
    with pytest.raises(MalformedError, match=message):
        scan(data, 0, len(data))


def test_a_group_does_not_reach_beyond_its_message():
    data = BEGIN + b"\x08\x01" + END
    with pytest.raises(MalformedError, match="does not end"):
        scan(data, 0, 3)


def test_text_is_utf_8():
    assert text(b"\xffgr\xc3\xbcn\xff", 1, 6) == "grün"
    with pytest.raises(MalformedError, match="not UTF-8"):
        text(b"\xff", 0, 1)
