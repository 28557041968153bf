# SPDX-License-Identifier: Apache-2.0
"""A lint rule, the model that it looks at, and what it finds."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from tfs_deploy.savedmodel import versions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tfs_deploy.protos.signatures import SignatureInfo, TensorSpec
    from tfs_deploy.savedmodel.graph.scopes import Scope
    from tfs_deploy.savedmodel.inspect import SavedModelInfo
    from tfs_deploy.savedmodel.lint.policy import Policy
    from tfs_deploy.savedmodel.versions import VersionDir


class Severity(enum.Enum):
    """How serious a finding is: an ``error`` breaks serving, a ``warning`` probably hurts, ``info`` is good to know."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for the worst."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation with the rule that found it: where (a signature, a file, a directory), what, and what to do."""

    rule: str
    name: str
    severity: Severity
    where: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class ServerTraits:
    """What is known of the server that a model is for; nothing by default: a stock server of any version.

    Attributes:
        release: its version, such as ``(2, 19)``.
        xla: whether it compiles with XLA, which it does not unless it is told to.
        max_request_rows: rows of the largest request that its batching takes; ``None`` without batching.
    """

    release: tuple[int, int] | None = None
    xla: bool = False
    max_request_rows: int | None = None


@dataclass(frozen=True)
class LintedModel:
    """A model, the server that it is for, and the policy that it has to keep, if there is one."""

    info: SavedModelInfo
    server: ServerTraits = field(default_factory=ServerTraits)
    policy: Policy | None = None

    @cached_property
    def calls(self) -> dict[str, list[Scope]]:
        """What a call of each signature executes."""
        return {name: self.info.reached_by(name) for name in self.info.signatures}

    @cached_property
    def siblings(self) -> list[VersionDir]:
        """What the server takes for versions beside this one; empty if this directory has no number."""
        return (
            versions.list_versions(versions.named_folder(self.info.path).parent)
            if self.info.version is not None
            else []
        )

    def tensors(self, side: str) -> Iterator[tuple[SignatureInfo, TensorSpec]]:
        """Yield every input or output (``side``) with its signature."""
        for signature in self.info.signatures.values():
            for spec in getattr(signature, side).values():
                yield signature, spec


@dataclass(frozen=True, slots=True)
class Violation:
    """One breach of a rule: its severity and hint are those of the rule unless given."""

    where: str
    message: str
    hint: str | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: ``id`` and ``name`` never change; ``reason`` says why it matters, ``hint`` what to do."""

    id: str
    name: str
    severity: Severity
    summary: str
    reason: str
    hint: str
    check: Callable[[LintedModel], Iterable[Violation]] = field(repr=False)

    def findings(self, model: LintedModel) -> Iterator[Finding]:
        """Apply the rule."""
        for problem in self.check(model):
            severity, hint = problem.severity or self.severity, problem.hint or self.hint
            yield Finding(self.id, self.name, severity, problem.where, problem.message, hint)


def listed(names: Iterable[str], most: int = 6) -> str:
    """Join names with commas, at most ``most`` of them."""
    ordered = sorted(names)
    more = f" and {len(ordered) - most} more" if len(ordered) > most else ""
    return ", ".join(ordered[:most]) + more
