# SPDX-License-Identifier: Apache-2.0
"""Times as options take them."""

from __future__ import annotations

import re
from typing import Any, Final

import click

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)?")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


class Duration(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A time such as ``10s``, ``5m``, ``24h``; a number alone is seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        match = _DURATION.fullmatch(str(value).strip())
        if match is None:
            self.fail(f"{value!r} is not a time such as 10s, 5m or 24h", param, ctx)
        return float(match[1]) * _UNITS[match[2] or "s"]
