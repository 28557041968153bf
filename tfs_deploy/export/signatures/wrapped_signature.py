# SPDX-License-Identifier: Apache-2.0
"""Signatures around other signatures, with a step in the graph before and after the inner one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from tfs_deploy.export.signatures.signature import Signature

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.export.signatures.bound_signature import BoundSignature


class WrapperStep(Protocol):
    """Work in the graph around a signature."""

    def input_specs(self) -> Mapping[str, Any] | None:
        """Return the specs of the inputs that the step computes, ``None`` if they are those of the inner signature."""

    def attach(self, inner: BoundSignature, signature: Signature) -> BoundSignature:
        """Return the signature with this step around ``inner``."""


class _NoStep:
    def input_specs(self) -> Mapping[str, Any] | None:
        return None

    def attach(self, inner: BoundSignature, signature: Signature) -> BoundSignature:
        del signature
        return inner


@dataclass(frozen=True)
class WrappedSignature(Signature):
    """A ``Signature`` around another one, as the wrapper functions make it."""

    inner: Signature = field(default_factory=Signature)
    step: WrapperStep = field(default_factory=_NoStep)
