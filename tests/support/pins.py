# SPDX-License-Identifier: Apache-2.0
"""The versions of scripts/constraints.txt without their hashes: pip takes no hash for what a test has built itself."""

from __future__ import annotations

import re
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[2] / "scripts/constraints.txt"


def pins(constraints: Path = CONSTRAINTS) -> list[str]:
    """Return ``NAME==VERSION`` of every package, with its marker if it has one."""
    return re.findall(r"^([a-z0-9][^\\\n]*?) *\\\\?$", constraints.read_text(), re.MULTILINE)


def write_pins(target: Path) -> Path:
    """Write constraints without hashes and return their path."""
    target.write_text("\n".join(pins()))
    return target
