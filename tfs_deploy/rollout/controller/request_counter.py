# SPDX-License-Identifier: Apache-2.0
"""All requests of a rollout, from its beginning to its end, whichever step or none they fall into."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfs_deploy.rollout.gates.request_stats import RequestCount, read_counts
from tfs_deploy.rollout.machine.history import elapsed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.rollout.controller.world import Clock, RequestSource
    from tfs_deploy.rollout.machine.history import Event


#: seconds between two looks at a source that forgets its oldest requests
_EVERY: Final = 5.0


class RequestCounter:
    """Counts the requests of a source by label since the counter was made, or since ``go_on``'s beginning.

    A source whose numbers come late (``lag``) is counted anew each time. Any other is counted piece by piece, as it may
    forget its oldest requests.
    """

    def __init__(self, source: RequestSource | None, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._began = self._last = clock.monotonic()
        self._sums: dict[str, RequestCount] = {}

    def go_on(self, events: Sequence[Event]) -> None:
        """Count on from the journal of a rollout that is resumed; its last entry is of now."""
        self._began = self._clock.monotonic() - elapsed(events)[-1]
        boots = [event.detail.get("boot", "") for event in events if event.kind in ("start", "resume")]
        if len(set(boots)) == 1:  # monotonic times of one boot can be compared
            self._last = self._began
        for event in events:
            if "counted" in event.detail:
                self._sums = read_counts(event.detail["counted"])
                if boots[-2:] == boots[-1:] * 2:
                    self._last = float(event.detail["counted_until"])

    def wait(self) -> None:
        """Let the source get what is still on its way."""
        lag = float(getattr(self._source, "lag", 0.0))
        if lag:
            self._clock.sleep(lag)

    def keep_up(self, now: float) -> None:
        """Count what ended so far, if the last look is a while ago."""
        if now - self._last >= _EVERY and not hasattr(self._source, "lag"):
            self.look(now)

    def look(self, now: float) -> None:
        """Count what ended before ``now``; a source that does not answer is asked again the next time."""
        if self._source is None:
            return
        late = hasattr(self._source, "lag")
        try:
            found = self._source.window(self._began if late else self._last, now)
            counts = {str(label): window.count for label, window in found.items()}
        except Exception:  # noqa: BLE001 - a caller's source; the gates report it
            return
        self._last = now
        before = {} if late else self._sums
        self._sums = {
            label: before.get(label, RequestCount()) + counts.get(label, RequestCount())
            for label in {**before, **counts}
        }

    def as_detail(self) -> dict[str, Any]:
        """Return what the journal keeps; nothing without a source."""
        if self._source is None:
            return {}
        counted = {label: [count.requests, count.errors] for label, count in sorted(self._sums.items())}
        synthetic = bool(getattr(self._source, "synthetic", False))
        return {"counted": counted, "counted_until": self._last, "synthetic": synthetic}
