# SPDX-License-Identifier: Apache-2.0
"""A policy: what a model may hold to be taken, as a value; ``verify/policy_file`` reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from tfs_deploy.savedmodel.graph.ops import is_known_op
from tfs_deploy.savedmodel.graph.unsafe_ops import UNSAFE_OPS

if TYPE_CHECKING:
    from collections.abc import Mapping

#: formats of a model that a policy can allow
FORMATS: Final = ("saved_model", "tflite")


@dataclass(frozen=True, slots=True)
class Policy:
    """What a model may hold.

    Attributes:
        name: the file's name, without its folder.
        sha256: of the file, in hexadecimal.
        default_ops: whether the ops of the stock server are allowed that reach no files, machines or Python.
        allow: further ops that are allowed; a custom op among them too.
        deny: ops that are not allowed, whatever else is said.
        custom_ops: whether ops are allowed that the stock server does not have.
        max_bytes: the most that all files of a version may have together.
        max_graph_bytes: the most that ``saved_model.pb`` may have.
        required_signatures: names that the served meta graph has to have.
        required_verdict_groups: groups of checks of which a verification has to make at least one each.
        formats: of ``FORMATS``, those that a version may hold.
    """

    name: str
    sha256: str
    default_ops: bool = True
    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    custom_ops: bool = False
    max_bytes: int | None = None
    max_graph_bytes: int | None = None
    required_signatures: tuple[str, ...] = ()
    required_verdict_groups: tuple[str, ...] = ()
    formats: tuple[str, ...] = FORMATS[:1]

    def why_not(self, op: str) -> str:
        """Say why an op that the stock server has is not allowed, wherever it stands; empty if it is."""
        if op in self.deny:
            return "which the policy denies"
        if op in self.allow:
            return ""
        if not self.default_ops:
            return "which the policy does not allow"
        return f"which {UNSAFE_OPS[op]}" if op in UNSAFE_OPS else ""

    def takes_custom(self, op: str) -> bool:
        """Tell whether an op that the stock server does not have is allowed."""
        return op in self.allow or self.custom_ops

    def as_dict(self) -> Mapping[str, str]:
        """Return which policy it is, for a verdict."""
        return {"name": self.name, "sha256": self.sha256}


def is_custom(op: str) -> bool:
    """Tell whether the stock server does not have an op, whatever libraries are loaded here."""
    return not is_known_op(op)
