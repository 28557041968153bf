# SPDX-License-Identifier: Apache-2.0
"""JSON as the server's parser and printer have it."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfs_deploy.codec.json.text import _Parser, decimal_text, parse_json, print_json
from tfs_deploy.errors import InvalidArgumentError

#: numbers that any parser reads as the nearest double, and any printer writes
decimals = st.floats(-1e14, 1e14).map(lambda value: float(f"{value:.14g}")).filter(lambda v: v == 0 or abs(v) > 1e-5)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | decimals | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "The document is empty"),
        ("  ", "The document is empty. at offset: 2"),
        ("\0", "The document is empty. at offset: 0"),
        ("{", "Missing a name for object member. at offset: 1"),
        ("{1:2}", "Missing a name for object member. at offset: 1"),
        ('{"a" 1}', "Missing a colon after a name of object member. at offset: 5"),
        ('{"a":1 "b"}', "Missing a comma or } after an object member. at offset: 7"),
        ('{"a":1,}', "Missing a name for object member. at offset: 7"),
        ("[1 2]", "Missing a comma or ] after an array element. at offset: 3"),
        ("[1,]", "Invalid value. at offset: 3"),
        ("[tru]", "Invalid value. at offset: 4"),
        ("nul", "Invalid value. at offset: 3"),
        ("-", "Invalid value. at offset: 1"),
        ("[1.]", "Miss fraction part in number. at offset: 3"),
        ("[1e]", "Miss exponent in number. at offset: 3"),
        ("[1e999]", "Number too big to be stored in double. at offset: 1"),
        ('["a', "Missing a closing quotation mark in string. at offset: 3"),
        ('["a\n"]', "Invalid encoding in string. at offset: 3"),
        ('["\\x"]', "Invalid escape character in string. at offset: 2"),
        ('["\\u12"]', "Incorrect hex digit after \\u escape in string. at offset: 2"),
        ('["\\ud800"]', "The surrogate pair in string is invalid. at offset: 2"),
        ('["\\ud800\\u0041"]', "The surrogate pair in string is invalid. at offset: 2"),
        ('["\\udc00"]', "The surrogate pair in string is invalid. at offset: 2"),
        ("[Nope]", "Invalid value. at offset: 2"),
        ("[Infinite]", "Invalid value. at offset: 8"),
        # offsets count bytes
        ('["é" 1]', "Missing a comma or ] after an array element. at offset: 6"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        parse_json(text.encode())
    assert caught.value.message == f"JSON Parse error: {message}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[NaN, Infinity, -Infinity]", [math.nan, math.inf, -math.inf]),
        ("[Inf, -Inf]", [math.inf, -math.inf]),
        ('{"a": 1, "a": 2}', {"a": 1}),
        ('{"a": 1} and more', {"a": 1}),
        ("[18446744073709551615, 18446744073709551616]", [2**64 - 1, 2.0**64]),
        ("[-9223372036854775808, -9223372036854775809]", [-(2**63), -(2.0**63)]),
        ('"\\ud83d\\ude00"', "😀"),
        ("01", 0),
        ("\ufeff[1]", [1]),
    ],
)
def test_what_other_parsers_do_otherwise(text: str, value: Any) -> None:
    assert repr(parse_json(text.encode())) == repr(value)


def test_bytes_that_are_no_utf8_survive() -> None:
    assert parse_json(b'["\xff"]')[0].encode("utf-8", "surrogateescape") == b"\xff"


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        parse_json(b"[" * 100_000)


@given(values)
def test_valid_json_reads_as_it_was_written(value: Any) -> None:
    text = json.dumps(value)
    assert parse_json(text.encode()) == value
    assert _Parser(text).parse() == value


@given(values)
def test_printed_values_read_back(value: Any) -> None:
    assert json.loads(print_json([value])) == [value]


@given(st.text(alphabet='{}[]",:0123eE+-.\\utrfalsn NI', max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_json(text.encode())
    except InvalidArgumentError:
        return
    assert repr(_Parser(text).parse()) == repr(found)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"),
        (1.0, "1.0"),
        (1e10, "1e+10"),
        (123456789.0, "123456792.0"),
        (1 / 3, "0.333333343"),
        (1e300, "1e+300"),
        (-0.0, "-0.0"),
        (math.nan, "NaN"),
        (-math.inf, "-Infinity"),
    ],
)
def test_decimals(value: float, text: str) -> None:
    assert decimal_text(value) == text


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_decimals_tell_float32_values_apart(value: float) -> None:
    assert np.float32(decimal_text(value)) == np.float32(value)
