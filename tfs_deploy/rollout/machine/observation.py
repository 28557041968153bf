# SPDX-License-Identifier: Apache-2.0
"""What is seen in one tick: the server's versions and labels, the traffic, requests of other processes. Pure values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tfs_deploy.rollout.machine.traffic_split import TrafficSplit

#: states of a version (tensorflow_serving/apis/get_model_status.proto)
START: Final = "START"
LOADING: Final = "LOADING"
AVAILABLE: Final = "AVAILABLE"
UNLOADING: Final = "UNLOADING"
END: Final = "END"


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version as the server reports it; ``code`` and ``message`` say why it ended, 0 and empty when unloaded."""

    state: str
    code: int = 0
    message: str = ""

    @property
    def failed(self) -> bool:
        """Whether this version ended in an error."""
        return self.state == END and self.code != 0


@dataclass(frozen=True, slots=True)
class ServerView:
    """What a server says of one model: its versions, and the version that each label answers with.

    Of several servers: a version is AVAILABLE if it is on every one; a label that does not answer with the same version
    everywhere is in ``mixed`` and not in ``labels``; ``missing`` are the addresses that do not answer; ``partly`` are
    the versions that are AVAILABLE on some servers only.
    """

    versions: Mapping[int, VersionView] = field(default_factory=dict)
    labels: Mapping[str, int] = field(default_factory=dict)
    mixed: Mapping[str, frozenset[int]] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    partly: frozenset[int] = frozenset()

    def state(self, version: int) -> str:
        """Return the state of a version; ``END`` for one that the server does not know."""
        view = self.versions.get(version)
        return END if view is None else view.state

    def available(self, version: int) -> bool:
        """Whether this version answers requests."""
        return self.state(version) == AVAILABLE

    def answers(self, version: int) -> bool:
        """Whether any server answers requests with this version."""
        return self.available(version) or version in self.partly

    def reached(self, label: str) -> frozenset[int]:
        """Return the versions that a label answers with: several only where servers disagree."""
        if label in self.labels:
            return frozenset((self.labels[label],))
        return self.mixed.get(label, frozenset())


@dataclass(frozen=True, slots=True)
class Observation:
    """What is seen in one tick.

    ``now``: monotonic seconds. ``server``: ``None`` while it does not answer; the server, or one of several, has been
    silent for ``silent_for`` seconds so far, because of ``error``; ``coming``: it loads the old version again after a
    restart, which counts as silence; ``ended``: its process has ended. ``split``: the traffic file, ``None`` without
    one. ``gone``: the directory of the old version where it is missing and the server has unloaded the version for it,
    else empty. ``request``: what another process asks for (see ``mailbox``). ``starved``: why the journal uses the last
    room on the disk, empty if it does not.
    """

    now: float
    server: ServerView | None
    split: TrafficSplit | None = None
    silent_for: float = 0.0
    error: str = ""
    ended: bool = False
    coming: bool = False
    gone: str = ""
    request: str | None = None
    starved: str = ""

    @property
    def silent(self) -> bool:
        """Whether the server, or one of several, does not serve at the moment."""
        return self.server is None or bool(self.server.missing) or self.coming
