# SPDX-License-Identifier: Apache-2.0
"""Signatures as they are typed on a command line."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.export.signatures.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORM: Final = re.compile(
    r"\s*(?P<name>(?:(?!->)[^\s()=:,])+)"
    r"\s*(?:\((?P<inputs>[^()]*)\))?"
    r"\s*(?:=\s*(?P<function>(?:(?!->)[^\s()=:,])+))?"
    r"\s*(?:->\s*(?P<outputs>.*?))?"
    r"\s*(?:\bas\s+(?P<method>\w+))?\s*"
)
_SPEC: Final = re.compile(r"(?P<name>[^\s:=]+)\s*:\s*(?P<dtype>\w+)\s*\[(?P<shape>[^\]]*)\]")
_RENAME: Final = re.compile(r"(?P<name>[^\s=]+)\s*=\s*(?P<reference>\S+)")
_PLAIN: Final = re.compile(r"[^\s:=]+")
_EXAMPLE: Final = "for example 'serving_default(image) -> probabilities' or 'serving_default(x=x:0) -> y=logits:0'"


def parse_signatures(texts: Iterable[str]) -> dict[str, Signature] | None:
    """Read ``NAME(INPUTS) = FUNCTION -> OUTPUTS as METHOD``, where all but NAME are optional.

    INPUTS and OUTPUTS are separated by commas. Each is a name, ``name=existing`` (an input, output or tensor that the
    source has) or ``name: dtype[8, ?]``. FUNCTION is a method of the model, or a signature of the SavedModel. Returns
    ``None`` for no text; raises ``UsageError`` for one that cannot be read.
    """
    signatures: dict[str, Signature] = {}
    for text in texts:
        match = _FORM.fullmatch(text)
        if match is None:
            raise UsageError(f"the signature {text!r} cannot be read", hint=_EXAMPLE)
        if match["name"] in signatures:
            raise UsageError(f"the signature {match['name']!r} is given twice", hint="give each a name of its own")
        inputs, outputs = _side(text, match["inputs"]), _side(text, match["outputs"])
        signatures[match["name"]] = Signature(match["function"], inputs, outputs, match["method"] or "predict")
    return signatures or None


def _side(text: str, listed: str | None) -> dict[str, Any] | tuple[str, ...] | None:
    """Read one side: names alone keep their order, anything else becomes a dict."""
    if listed is None:
        return None
    entries = [_entry(text, entry.strip()) for entry in re.split(r",(?![^\[]*\])", listed) if entry.strip()]
    if not entries:
        raise UsageError(f"the signature {text!r} has an empty list", hint=f"leave it out, or fill it: {_EXAMPLE}")
    if all(value is None for _, value in entries):
        return tuple(name for name, _ in entries)
    return dict(entries)


def _entry(text: str, entry: str) -> tuple[str, Any]:
    if match := _RENAME.fullmatch(entry):
        return match["name"], match["reference"]
    if match := _SPEC.fullmatch(entry):
        return match["name"], (match["dtype"], _shape(text, match["shape"]))
    if _PLAIN.fullmatch(entry):
        return entry, None
    raise UsageError(f"{entry!r} in the signature {text!r} cannot be read", hint=_EXAMPLE)


def _shape(text: str, listed: str) -> tuple[int | None, ...]:
    sizes = [size.strip() for size in listed.split(",") if size.strip()]
    for size in sizes:
        if size not in ("?", "None", "-1") and not size.isdecimal():
            raise UsageError(
                f"{size!r} in the signature {text!r} is not a valid size", hint="write a number, or ? for any size"
            )
    return tuple(int(size) if size.isdecimal() else None for size in sizes)
