# SPDX-License-Identifier: Apache-2.0
"""Messages about a deployment file: what pydantic found, by the keys and values of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy.deployment.file.schema import SECTIONS
from tfs_deploy.text import closest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic_core import ErrorDetails

    from tfs_deploy.deployment.file.yaml_reader import KeyPath

_WANTED = {
    "int": "a whole number",
    "float": "a number",
    "string": "text",
    "bool": "true or false",
    "list": "a list",
    "dict": "a mapping",
    "model": "a mapping",
}
_RANGES = {
    "greater_than_equal": ("at least", "ge"),
    "greater_than": ("more than", "gt"),
    "less_than_equal": ("at most", "le"),
    "less_than": ("below", "lt"),
}


def path_text(path: KeyPath) -> str:
    """Write a path as ``models[0].labels.stable``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return ``, did you mean 'x'?`` for the closest candidate, else nothing."""
    near = closest(str(word), candidates)
    return "" if near is None else f", did you mean {near!r}?"


def shown(value: Any) -> str:
    """Return a value as a message shows it."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"the text '{value if len(value) <= 60 else value[:57] + '...'}'"
    return str(value)


def explain(error: ErrorDetails) -> tuple[KeyPath, str]:
    """Turn one of pydantic's errors into a path and a message."""
    path: KeyPath = error["loc"]
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return path, unknown_key(path)
    if kind == "missing":
        return path, "is missing"
    if kind == "literal_error":
        allowed = context["expected"]
        words = [word.strip("'") for word in allowed.replace(" or ", ", ").split(", ")]
        return path, f"must be {allowed}, not {shown(value)}{did_you_mean(value, words)}"
    if kind in ("too_short", "list_too_short"):
        return path, "must list at least one"
    wanted = _WANTED.get(kind.partition("_")[0])
    if wanted is not None and kind.endswith(("_type", "_parsing", "_from_float", "_size")):
        return path, f"must be {wanted}, not {shown(value)}"
    if kind in _RANGES:
        limit, key = _RANGES[kind]
        return path, f"must be {limit} {int(context[key])}, not {shown(value)}"
    return path, error["msg"]


def nearest_keys(path: KeyPath) -> list[str]:
    """Return the key of the same section that is closest to the last part of ``path``, if one is close."""
    near = closest(str(path[-1]), _keys_at(path[:-1]))
    return [] if near is None else [near]


def unknown_key(path: KeyPath) -> str:
    """Return the message for an unknown key, with the key or the section that was probably meant."""
    key = str(path[-1])
    near = nearest_keys(path)
    if near:
        return f"unknown key, did you mean {near[0]!r}?"
    elsewhere = [where for where, model in SECTIONS.items() if key in model.model_fields]
    if elsewhere:
        return f"unknown key here, it belongs under {'.'.join(elsewhere[0]) or 'the top level'}"
    return f"unknown key, the keys here are {', '.join(_keys_at(path[:-1]))}"


def _keys_at(path: KeyPath) -> list[str]:
    section = tuple(part for part in path if isinstance(part, str))
    return list(SECTIONS[section].model_fields)
