# SPDX-License-Identifier: Apache-2.0
"""Environment variables in values of a deployment file: ``${NAME}``, ``${NAME:-default}``; ``$${NAME}`` is the text."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_PLACE: Final = re.compile(r"(\$?)\$\{([^{}]*)\}")
_CONTENT: Final = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)


def substituted(text: str, environment: Mapping[str, str] = os.environ) -> tuple[str, list[str]]:
    """Return a text with the values of its variables, and what is wrong with them; those stay as they are.

    As in a shell, ``:-`` also replaces an empty value.
    """
    problems: list[str] = []

    def value(match: re.Match[str]) -> str:
        written = match[0]
        if match[1]:
            return written[1:]
        content = _CONTENT.fullmatch(match[2])
        if content is None:
            forms = "${NAME} or ${NAME:-default}, or $${ for the text"
            problems.append(f"{written} is not a valid variable: write {forms}")
            return written
        found, default = environment.get(content[1]), content[2]
        if found is None and default is None:
            problems.append(f"variable {content[1]} is not set: export it, or write ${{{content[1]}:-default}}")
            return written
        return found or (default if default is not None else "")

    return _PLACE.sub(value, text), problems


def escaped(value: Any) -> Any:
    """Return plain values so that a deployment file with them says the same: no text in them is a variable."""
    if isinstance(value, str):
        return _PLACE.sub(lambda match: f"${match[0]}", value)
    if isinstance(value, dict):
        return {key: escaped(item) for key, item in value.items()}
    return [escaped(item) for item in value] if isinstance(value, list) else value
