# SPDX-License-Identifier: Apache-2.0
"""The address of a model in a registry of MLflow: ``mlflow:models/NAME``, with ``/VERSION`` or ``@ALIAS``. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tfs_deploy.errors import UsageError

MLFLOW: Final = "mlflow"
_FORM: Final = "mlflow:models/NAME, mlflow:models/NAME/VERSION or mlflow:models/NAME@ALIAS"
#: what MLflow writes, and users bring along: a registered model, and artefacts that have no version number
_MEANT: Final = re.compile(r"(mlflow|models|runs|mlflow-artifacts):(.*)", re.DOTALL | re.IGNORECASE)
#: rules of MLflow (utils/validation.py); quotes would end the filter of a search
_NAME: Final = re.compile(r"(?!\.{1,2}$)[^/:@'\"\\]+")
_ALIAS: Final = re.compile(r"[\w-]{1,255}", re.ASCII)
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class RegisteredModel:
    """A registered model, and perhaps one version of it, by its number or by an alias."""

    name: str
    version: int | None = None
    alias: str = ""

    def __str__(self) -> str:
        one = f"@{self.alias}" if self.alias else "" if self.version is None else f"/{self.version}"
        return f"{MLFLOW}:models/{self.name}{one}"


def is_mlflow(text: str) -> bool:
    """Tell whether a text is meant as an address of MLflow, in whatever spelling."""
    return _MEANT.fullmatch(text) is not None


def parse_mlflow(text: str) -> RegisteredModel:
    """Return the model that an address names; ``UsageError`` says what is wrong with it.

    ``@N`` is version N, as in every other address.
    """
    match = _MEANT.fullmatch(text)
    if match is None or match[1].lower() in ("runs", "mlflow-artifacts"):
        hint = f"register it as a version of a model, then write {_FORM}"
        raise UsageError(f"{text!r} names artefacts of MLflow, which have no version number", hint=hint)
    scheme, rest = match[1].lower(), match[2]
    bare = rest.lstrip("/")
    if scheme == MLFLOW:
        begins, _, bare = bare.partition("/")
        if begins != "models":
            raise UsageError(f"{text!r} is not a valid address", hint=f"write {_FORM}")
    found = _parsed(bare.rstrip("/"), text)
    if scheme != MLFLOW or rest.startswith("/"):
        raise UsageError(f"{text!r} is not a valid address", hint=f"write {found}")
    return found


def _parsed(bare: str, text: str) -> RegisteredModel:
    name, mark, one = bare.partition("@") if "@" in bare else bare.partition("/")
    if not _NAME.fullmatch(name) or not name.isprintable() or name != name.strip():
        raise UsageError(f"{text!r} names no valid model", hint=f"write {_FORM}")
    if not mark:
        return RegisteredModel(name)
    if _NUMBER.fullmatch(one) and int(one) < 2**63:
        return RegisteredModel(name, int(one))
    if mark == "/":
        hint = f"write {MLFLOW}:models/{name}@ALIAS for an alias, {MLFLOW}:models/{name} for the newest version"
        raise UsageError(f"{text!r} does not name a valid version after the name of the model", hint=hint)
    if not _ALIAS.fullmatch(one):
        raise UsageError(f"{text!r} does not name a valid alias after its '@'", hint=f"write {_FORM}")
    return RegisteredModel(name, alias=one)
