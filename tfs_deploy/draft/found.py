# SPDX-License-Identifier: Apache-2.0
"""What was found to write a deployment file for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

Kind = Literal["keras", "savedmodel", "versions", "models.config", "server"]
#: what no name of a model or deployment may hold (REST_NAME)
_ODD: Final = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class FoundModel:
    """One model; ``versions`` are those that can be served, ascending, ``labels`` those that a server has for them."""

    name: str
    base_path: Path
    versions: tuple[int, ...] = ()
    labels: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """What ``source`` turned out to be.

    A Keras file and a SavedModel outside a version directory are not served as they are: ``unwritten`` then, their one
    model has the base path and the version that they will be written to. A models.config brings ``document``, what it
    says as a deployment file; a running server its gRPC ``port``.
    """

    kind: Kind
    source: str
    models: tuple[FoundModel, ...] = ()
    document: dict[str, Any] = field(default_factory=dict)
    port: int | None = None

    @property
    def unwritten(self) -> bool:
        """Whether the model still has to be written into its base path."""
        return self.kind in ("keras", "savedmodel")


def as_name(text: str) -> str:
    """Return a text as the name of a model or a deployment."""
    return _ODD.sub("-", text).strip("-.")[:100] or "model"
