# SPDX-License-Identifier: Apache-2.0
"""Numbers as the server's JSON parser makes doubles of them: not always the nearest (rapidjson/reader.h, strtod.h).

RapidJSON without its full-precision flag collects up to 17 digits in a double and scales it once by a power of ten.
Where both are exact, up to 15 digits and powers to 22, that is the nearest double; beyond, it may be the next one.
"""

from __future__ import annotations

import math
import re
from typing import Final

_MAX_UINT64: Final = 2**64 - 1
_MIN_INT64: Final = -(2**63)
#: beyond this the significand is collected in a double
_EXACT: Final = 2**53 - 1
_MAX_DIGITS: Final = 17
#: a further digit would make more than the largest double
_ALMOST_MAX: Final = 1.7976931348623157e307
_MAX_EXPONENT: Final = 308
_POWERS: Final = tuple(float(f"1e{power}") for power in range(_MAX_EXPONENT + 1))
_PARTS: Final = re.compile(r"(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?")
_EXACT_POWER: Final = 22
#: digits that stay below ``_EXACT``
_EASY: Final = 15
#: where a text may hold a number that is not
INEXACT: Final = re.compile(rb"[0-9][0-9.]{15}|[0-9][eE]")


def integer_or_float(text: str) -> int | float:
    """Read an integer token: what fits neither int64 nor uint64 becomes a float.

    Raises:
        ValueError: it is too big for a double.
    """
    if len(text) <= 21:
        value = int(text)
        if _MIN_INT64 <= value <= _MAX_UINT64:
            return value
    return to_double(text)


def to_double(text: str) -> float:
    """Read a number token that is not an integer; raises ``ValueError`` if it is too big for a double."""
    if "e" not in text and "E" not in text:
        whole, _, fraction = text.lstrip("-").partition(".")
        if len(whole) < _EASY and len(fraction) <= _EXACT_POWER:
            value = _plain_decimal(whole, fraction)
            return -value if text[0] == "-" else value
    found = _PARTS.fullmatch(text)
    assert found is not None
    minus, whole, fraction, exponent = found.groups(default="")
    significand, power = _significand(whole, fraction, limit=-_MIN_INT64 if minus else _MAX_UINT64)
    shift = int(exponent or 0)
    if shift > _MAX_EXPONENT - power:
        raise ValueError("too big")
    value = _scale(significand, shift + power)
    if math.isinf(value):
        raise ValueError("too big")
    return -value if minus else value


def _plain_decimal(whole: str, fraction: str) -> float:
    """What ``_significand`` and ``_scale`` come to for most numbers, in fewer steps."""
    digits = fraction.lstrip("0") if whole == "0" else whole + fraction
    exact = int(digits or 0)
    used = len(digits)
    if exact > _EXACT:
        most = _MAX_DIGITS if whole == "0" else _MAX_DIGITS + 1
        used = _EASY + 1
        exact = int(digits[:used])
        if exact <= _EXACT:
            used += 1
            exact = int(digits[:used])
        value = float(exact)
        for digit in digits[used:most]:
            value = value * 10.0 + int(digit)
            used += 1
    else:
        value = float(exact)
    return value / _POWERS[len(fraction) - len(digits) + used] if whole == "0" else value / _POWERS[used - len(whole)]


def _significand(whole: str, fraction: str, *, limit: int) -> tuple[float, int]:
    """Collect the digits; returns them as a double with the power of ten that they still need."""
    exact = int(whole) if len(whole) <= len(str(limit)) else limit + 1
    digits = len(whole) - 1
    used = 0
    if exact <= limit:
        used = max(0, min(_EASY - len(whole), len(fraction)))
        exact = int(whole + fraction[:used])
        digits = len(fraction[:used].lstrip("0")) if whole == "0" else digits + used
        for digit in fraction[used:]:
            if exact > _EXACT:
                break
            exact = exact * 10 + int(digit)
            used += 1
            digits += exact != 0
        value = float(exact)
    else:
        value = _long_integer(whole, limit)
    for digit in fraction[used:]:
        if digits >= _MAX_DIGITS:
            break
        value = value * 10.0 + int(digit)
        used += 1
        digits += value > 0
    return value, -used


def _long_integer(whole: str, limit: int) -> float:
    """Collect the digits of an integer that does not fit 64 bits."""
    fits = min(len(whole), len(str(limit)))
    while int(whole[:fits]) > limit:
        fits -= 1
    value = float(int(whole[:fits]))
    for digit in whole[fits:]:
        if value >= _ALMOST_MAX:
            raise ValueError("too big")
        value = value * 10 + int(digit)
    return value


def _scale(value: float, power: int) -> float:
    if power < -_MAX_EXPONENT:
        return _scale_once(value / _POWERS[_MAX_EXPONENT], power + _MAX_EXPONENT)
    return _scale_once(value, power)


def _scale_once(value: float, power: int) -> float:
    if power < -_MAX_EXPONENT:
        return 0.0
    return value * _POWERS[power] if power >= 0 else value / _POWERS[-power]
