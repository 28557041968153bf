# SPDX-License-Identifier: Apache-2.0
"""Values that people write as text: times, shares and sizes."""

from __future__ import annotations

import math
import re
from typing import Final

from tfs_deploy.errors import UsageError

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES: Final = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}


def parse_seconds(text: str) -> float:
    """Read a time such as ``10``, ``500ms``, ``10s``, ``5m``, ``1h30m`` or ``7d`` as seconds; raises ``UsageError``."""
    compact = text.replace(" ", "")
    try:
        return float(compact) if math.isfinite(float(compact)) and float(compact) >= 0 else _refuse_time(text)
    except ValueError:
        pass
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", compact)
    if not parts or "".join(number + unit for number, unit in parts) != compact:
        return _refuse_time(text)
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _refuse_time(text: str) -> float:
    raise UsageError(f"{text!r} is not a valid time", hint="for example 10s, 500ms, 5m or 1h30m")


def parse_share(text: str) -> float:
    """Read ``1%`` or ``0.01`` as 0.01; raises ``UsageError``."""
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise UsageError(f"{text!r} is not a valid share", hint="for example 1% or 0.01")
    return share


def parse_bytes(text: str) -> int | None:
    """Read ``2GB`` or ``512MiB`` as bytes; ``None`` for anything else."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]i?b)", text.lower())
    return None if match is None else round(float(match[1]) * _BYTES[match[2]])
