# SPDX-License-Identifier: Apache-2.0
"""The interface of a transport."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tfs_deploy.client.call.call import Call


class Transport(Protocol):
    """Sends bytes and returns bytes."""

    def perform(self, call: Call) -> bytes:
        """Send one call and return the answer; raise a ``StatusError`` if there is none."""

    def close(self) -> None:
        """Close the connections; later calls are refused."""


class AsyncTransport(Protocol):
    """Sends bytes and returns bytes, awaited."""

    async def perform(self, call: Call) -> bytes:
        """Send one call and return the answer; raise a ``StatusError`` if there is none."""

    async def close(self) -> None:
        """Close the connections; later calls are refused."""
