# SPDX-License-Identifier: Apache-2.0
"""Numbers become the doubles that RapidJSON makes of them; the expected values are its own."""

from __future__ import annotations

import json
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tfs_deploy.codec.json.numbers import INEXACT, integer_or_float, to_double
from tfs_deploy.codec.json.server_request import parse_body, read_inputs
from tfs_deploy.protos.signatures import TensorSpec


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("-0.0", -0.0),
        ("0.30000000000000004", 0.30000000000000004),
        ("123456789.123456789012345678901234567890", 123456789.1234568),
        ("1.0153810969037209e-100", 1.0153810969037208e-100),
        ("-1.474214269585229e+209", -1.4742142695852288e209),
        ("88977625888540666.49E5", 8.897762588854067e21),
        ("9418830698313409.1", 9418830698313408.0),
        ("9.57584006949905006E-290", 9.575840069499049e-290),
        ("2.2250738585072011e-308", 2.2250738585072014e-308),
        ("5e-324", 5e-324),
        ("1e-400", 0.0),
        ("1.7976931348623157e308", 1.7976931348623157e308),
        ("0.00001e312", 1e307),
    ],
)
def test_doubles(text: str, value: float) -> None:
    assert repr(to_double(text)) == repr(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("18446744073709551615", 2**64 - 1),
        ("-9223372036854775808", -(2**63)),
        ("18446744073709551616", 1.8446744073709552e19),
        ("-17236678918075570723", -1.7236678918075572e19),
        ("123456789012345678901234567890", 1.2345678901234566e29),
    ],
)
def test_integers(text: str, value: float) -> None:
    found = integer_or_float(text)
    assert (type(found), repr(found)) == (type(value), repr(value))


@pytest.mark.parametrize("text", ["1e309", "0e309", "24834549460170993E+310", "-333486474909641197.7e310", "9" * 310])
def test_numbers_that_are_too_big(text: str) -> None:
    with pytest.raises(ValueError, match="too big"):
        integer_or_float(text) if text.isdigit() else to_double(text)


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e23)
@example(1.7976931348623157e308)
def test_never_further_off_than_a_few_units_in_the_last_place(value: float) -> None:
    text = repr(value)
    found = integer_or_float(text) if text.lstrip("-").isdigit() else to_double(text)
    assert abs(found - value) <= 4 * math.ulp(value)


@given(st.decimals(allow_nan=False, allow_infinity=False, places=9, min_value=-99999, max_value=99999))
def test_short_numbers_are_the_nearest_doubles(value: Decimal) -> None:
    assert to_double(f"{value:.9f}") == float(value)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_the_fast_path_leaves_such_numbers_alone(values: list[float]) -> None:
    body = json.dumps({"instances": values}).encode()
    found = read_inputs(parse_body(body), {"x": TensorSpec("x", "float64", None)})[0]["x"]
    subnormal = np.abs(found) < np.finfo(np.float64).smallest_normal
    for text, number in zip(map(repr, values), np.where(subnormal, 0, found).tolist(), strict=True):
        expected = to_double(text)
        assert number == (0 if abs(expected) < 2.2250738585072014e-308 else expected)
    if not INEXACT.search(body):
        assert found.tolist() == values
