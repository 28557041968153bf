# SPDX-License-Identifier: Apache-2.0
"""The launch target: where the servers of one deployment run. A process of this machine and a container are two kinds.

The life of a server, with the method that leads from one state to the next::

                     start()                       keep_running()
      (nothing) ----------------> started ----------------------------> in use
          ^                          |                                 |  ^  |
          |        discard()         |                         pause() |  |  | ends by itself
          +--------------------------+                                 v  |  v
          |                                          resume() <---- paused   ended
          |        discard(), clear()                                          |
          +--------------------------------------------------------------------+

      start(successor=True) --> successor -- promote(successor, current) --> in use
                                  (the one before it goes on serving until discard())

What each method may assume:

- ``current``, ``ended``, ``leftovers``, ``problems`` and ``log`` change nothing and may be called at any time.
- ``start`` is called with ``problems`` empty a moment ago, and checks again: another program may have been faster. A
  server that does not start is gone when it raises. With ``successor`` the server in use is not touched.
- ``promote`` is called with a successor that serves every version; an interrupt in its middle is repaired by
  ``clear_leftovers``, after which either of the two is the server in use.
- ``keep_running`` is called once a server serves, also for the old one when ``resume`` has brought it back.
- ``pause``, ``discard`` and ``clear`` may be called for a server that has ended already. ``discard`` may also be
  called when ``start`` was not completed.
- The caller holds the deployment's lock for everything that changes something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeVar

from tfs_deploy.launch.server import StartedServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tfs_deploy.deployment.deployment import Deployment
    from tfs_deploy.errors import TfsDeployError
    from tfs_deploy.launch.memory import MemoryLimit
    from tfs_deploy.launch.server import ServerPorts


@dataclass(frozen=True, slots=True)
class Leftover:
    """What a replacement left that was cut off: ``step`` says what is to be done; ``ports`` those that it holds."""

    step: str
    ports: ServerPorts | None = None


S = TypeVar("S", bound=StartedServer)


class LaunchTarget(Protocol[S]):
    """Where the servers of one deployment run: at most one in use, and a successor while one is replaced."""

    def current(self) -> S | None:
        """Return the server in use if it runs."""

    def ended(self) -> bool:
        """Tell whether there was a server in use that ended without being asked to."""

    def explain_end(self) -> str:
        """Return why it ended, an empty text where that is not known."""

    def leftovers(self) -> list[Leftover]:
        """Return what an interrupted command left, none in the usual case."""

    def clear_leftovers(self) -> list[str]:
        """Put in order what ``leftovers`` found; return a note for each thing done."""

    def problems(self, served: Deployment, ports: ServerPorts) -> Iterator[TfsDeployError]:
        """Yield what would keep a server from starting on ``ports``."""

    def fetches(self) -> tuple[str, ...]:
        """Say what a start would fetch to this machine first, one line for each thing."""

    def settings(self, served: Deployment) -> tuple[str, ...]:
        """Return what a server of this target reads once, at its start, as lines ``name=value``."""

    def memory_limit(self) -> MemoryLimit | None:
        """Return the limit that the deployment file sets for one server, None without."""

    def start(self, served: Deployment, ports: ServerPorts, config_dir: Path, *, successor: bool, timeout: float) -> S:
        """Start a server, the one in use or its ``successor``, wait for its ports and return it.

        A server that does not start is gone when this raises; the end of its log is in the error.
        """

    def promote(self, successor: S, current: S | None) -> None:
        """Make the successor the server in use; the other one still runs."""

    def pause(self, server: S, timeout: float) -> None:
        """Stop a server so that ``resume`` can bring it back."""

    def resume(self, server: S, timeout: float) -> None:
        """Start a paused server again."""

    def keep_running(self, server: S) -> tuple[str, ...]:
        """Restart a server from now on when it ends; return notes on what this machine cannot do."""

    def discard(self, server: S, timeout: float) -> None:
        """Stop a server for good and forget it."""

    def clear(self) -> None:
        """Remove whatever is left that is not the server in use."""

    def log(self, count: int) -> list[str] | None:
        """Return the last lines of the log of the server in use or of the last one that failed, None without any."""
