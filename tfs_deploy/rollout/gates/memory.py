# SPDX-License-Identifier: Apache-2.0
"""The gate on the memory of the server's process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.errors import UsageError
from tfs_deploy.rollout.gates.gate import GateVerdict, Verdict
from tfs_deploy.rollout.gates.spec import GateKind, positive
from tfs_deploy.rollout.notation import parse_bytes

if TYPE_CHECKING:
    from tfs_deploy.rollout.gates.gate import StepView

_MEGABYTE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class MemoryGate:
    """Limits the memory of the server's process.

    ``max_growth``: the share by which it may have grown since before the first step, when both versions were already
    loaded; a growth under ``tolerance`` bytes never counts. ``max_bytes``: its limit. Either may be ``None``.
    """

    max_growth: float | None = 0.5
    max_bytes: int | None = None
    tolerance: int = 512 * _MEGABYTE
    name: str = "memory"

    def judge(self, step: StepView) -> GateVerdict:
        """Judge the memory in use now."""
        if step.memory is None:
            return GateVerdict(self.name, Verdict.TOO_FEW, "the memory of the server's process is unknown")
        before, now = step.memory
        text = f"{now / _MEGABYTE:.0f} MB, {(now - before) / _MEGABYTE:+.0f} since the first step"
        if self.max_bytes is not None and now > self.max_bytes:
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {self.max_bytes / _MEGABYTE:.0f} MB")
        if self.max_growth is not None and now - before > max(self.max_growth * before, self.tolerance):
            limit = max(self.max_growth * before, self.tolerance) / _MEGABYTE
            return GateVerdict(self.name, Verdict.FAIL, f"{text}, limit {limit:+.0f} MB")
        return GateVerdict(self.name, Verdict.PASS, text)


def _read(_name: str, setting: str) -> dict[str, Any]:
    limit = parse_bytes(setting)
    if limit is not None:
        return {"max_growth": None, "max_bytes": limit}
    if not setting.endswith("%"):
        message = f"{setting!r} is neither a share nor an amount of memory"
        raise UsageError(message, hint="for example 20% or 2GB")
    return {"max_growth": positive(setting.removesuffix("%"), setting) / 100, "tolerance": 0}


MEMORY: Final = GateKind(
    ("memory",),
    (("memory=20%|2GB", "growth of the server's process, or its size"),),
    _read,
    lambda options, _sources: MemoryGate(**options),
)
