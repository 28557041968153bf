# SPDX-License-Identifier: Apache-2.0
"""The journal of a rollout: one entry for each intention and each outcome (the file is that of ``state.journal``)."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.rollout.machine.history import Event, History
from tfs_deploy.rollout.machine.plan import RolloutPlan
from tfs_deploy.state.journal import JournalFile


class Journal(JournalFile):
    """A journal whose entries are events."""

    def append(self, event: Event) -> None:
        """Write one entry and wait until the disk has it; raises ``EnvironmentFault`` and leaves no half a line."""
        at = datetime.fromtimestamp(event.at, timezone.utc).isoformat(timespec="milliseconds")
        entry = {"at": at, "kind": event.kind}
        if event.action:
            entry["action"] = event.action
        self.append_entry({**entry, "ok": event.ok, "uptime": round(event.mono, 3), "detail": dict(event.detail)})

    def read(self, *, mono: float = 0.0) -> list[Event]:
        """Return all whole entries; their monotonic time is ``mono``. ``EnvironmentFault`` if the file is damaged."""

        def event(entry: Any) -> Event:
            at = datetime.fromisoformat(entry["at"]).timestamp()
            words = entry["kind"], entry.get("action", ""), entry["ok"], entry["detail"]
            return Event(*words, at, mono, entry.get("uptime"))

        return self.entries(event)


def replay(events: list[Event]) -> tuple[RolloutPlan, History]:
    """Return the plan and the folded history of a journal; raises ``EnvironmentFault`` if it has no beginning."""
    if not events or events[0].kind != "start":
        raise EnvironmentFault("the rollout's journal lacks its first entry", hint="move the file away to start over")
    history = History()
    for event in events:
        history = history.after(event)
    return RolloutPlan.from_dict(events[0].detail["plan"]), history
