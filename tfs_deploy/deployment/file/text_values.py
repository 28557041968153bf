# SPDX-License-Identifier: Apache-2.0
"""Values that a deployment file holds as text: their forms, and sizes, releases and GPUs as values."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tfs_deploy.deployment.docker import Gpus

#: of a version: sha256 of its manifest
DIGEST: Final = re.compile(r"[0-9a-f]{64}")
SIZE: Final = re.compile(r"([0-9]{1,15})([bkmgBKMG])?")
_UNITS: Final = {"b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
RELEASE: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})(?:\.[0-9]{1,4})?")
USER: Final = re.compile(r"[0-9]{1,10}(:[0-9]{1,10})?")
LOG_SIZE: Final = re.compile(r"[1-9][0-9]{0,9}[kmg]")
PLATFORM: Final = re.compile(r"[a-z0-9]+/[a-z0-9]+(/[a-z0-9]+)?")
NETWORK: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
#: the name of an environment variable
VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_memory(text: str) -> int | None:
    """Read a size such as ``512m`` or ``4g`` as Docker does, in bytes; None if it is not valid."""
    match = SIZE.fullmatch(text)
    return None if match is None else int(match[1]) * _UNITS[(match[2] or "b").lower()]


def parse_release(text: str) -> tuple[int, int] | None:
    """Read a release such as ``2.19`` or ``2.19.1`` as (2, 19); None if it is not valid."""
    match = RELEASE.fullmatch(text)
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
