# SPDX-License-Identifier: Apache-2.0
"""Values that a deployment file holds as text: sizes, releases, GPUs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tfs_deploy.deployment.docker import Gpus

_SIZE: Final = re.compile(r"(\d{1,15})([bkmg])?", re.IGNORECASE)
_UNITS: Final = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_RELEASE: Final = re.compile(r"(\d{1,4})\.(\d{1,4})(?:\.\d{1,4})?")


def parse_memory(text: str) -> int | None:
    """Read a size such as ``512m`` or ``4g`` as Docker does, in bytes; None if it is not valid."""
    match = _SIZE.fullmatch(text)
    return None if match is None else int(match[1]) * _UNITS[(match[2] or "b").lower()]


def parse_release(text: str) -> tuple[int, int] | None:
    """Read a release such as ``2.19`` or ``2.19.1`` as (2, 19); None if it is not valid."""
    match = _RELEASE.fullmatch(text)
    return None if match is None else (int(match[1]), int(match[2]))


def parse_gpus(value: Any) -> Gpus | None:
    """Read ``all``, a count, or a list of device ids; None if it is not valid."""
    if value == "all":
        return "all"
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    if isinstance(value, list) and value and all(isinstance(item, str) and item for item in value):
        return tuple(value)
    return None
