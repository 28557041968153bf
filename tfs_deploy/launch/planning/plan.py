# SPDX-License-Identifier: Apache-2.0
"""A plan: the steps to a deployment file, what they change, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tfs_deploy.deployment.deployment import TargetName
    from tfs_deploy.errors import TfsDeployError
    from tfs_deploy.launch.memory import Memory
    from tfs_deploy.launch.planning.steps import Step

Action = Literal["none", "start", "update", "replace"]


@dataclass(frozen=True, slots=True)
class ServerPlan:
    """``steps`` in order, what each setting or model ``changes``, and what is ``refused``; ``gap`` in seconds.

    ``target`` is where the deployment file has its server run, ``image`` what its container is made of.
    """

    action: Action
    steps: tuple[Step, ...] = ()
    changes: tuple[str, ...] = ()
    refused: tuple[TfsDeployError, ...] = ()
    gap: float | None = None
    memory: Memory | None = None
    notes: tuple[str, ...] = ()
    target: TargetName = "embedded"
    image: str | None = None

    def __bool__(self) -> bool:
        return self.action != "none"

    @property
    def lines(self) -> tuple[str, ...]:
        """The steps as text."""
        return lines_of(self.steps)

    @property
    def refusals(self) -> tuple[str, ...]:
        """What is refused, as text."""
        return tuple(error.message for error in self.refused)

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        memory = self.memory
        return {
            "action": self.action,
            "target": self.target,
            "image": self.image,
            "steps": list(self.lines),
            "changes": list(self.changes),
            "refused": list(self.refusals),
            "notes": list(self.notes),
            "gap_seconds": self.gap,
            "memory": None
            if memory is None
            else {"models": memory.models, "peak": memory.peak, "room": memory.room, "fits": memory.fits},
        }


def lines_of(steps: tuple[Step, ...]) -> tuple[str, ...]:
    """Return steps as text, one line for each thing that happens."""
    return tuple(line for step in steps for line in step.lines)
