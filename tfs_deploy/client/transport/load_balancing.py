# SPDX-License-Identifier: Apache-2.0
"""Load balancing: a transport that spreads calls over several servers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tfs_deploy.client.transport.replicas import Replicas
from tfs_deploy.errors import DeadlineExceededError, StatusError, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tfs_deploy.client.call.call import Call
    from tfs_deploy.client.transport.transport import AsyncTransport, Transport


class BalancedTransport:
    """Sends each call to one of several servers (see ``Replicas``)."""

    def __init__(self, transports: Sequence[Transport]) -> None:
        self._transports = transports
        self.replicas = Replicas(len(transports))

    def perform(self, call: Call) -> bytes:
        """Send one call to the server whose turn it is and return the answer."""
        number = call.server = _pick_server(self.replicas, call)
        try:
            answer = self._transports[number].perform(call)
        except StatusError as error:
            if _goes_elsewhere(self.replicas, number, call, error):
                return self.perform(call)
            raise
        self.replicas.answered(number)
        return answer

    def close(self) -> None:
        """Close the connections to all servers."""
        for transport in self._transports:
            transport.close()


class AsyncBalancedTransport:
    """``BalancedTransport``, awaited."""

    def __init__(self, transports: Sequence[AsyncTransport]) -> None:
        self._transports = transports
        self.replicas = Replicas(len(transports))

    async def perform(self, call: Call) -> bytes:
        """Send one call to the server whose turn it is and return the answer."""
        number = call.server = _pick_server(self.replicas, call)
        try:
            answer = await self._transports[number].perform(call)
        except StatusError as error:
            if _goes_elsewhere(self.replicas, number, call, error):
                return await self.perform(call)
            raise
        self.replicas.answered(number)
        return answer

    async def close(self) -> None:
        """Close the connections to all servers."""
        for transport in self._transports:
            await transport.close()


def _pick_server(replicas: Replicas, call: Call) -> int:
    """Return the number of the server for a call.

    Raises:
        UsageError: the call changes a server, so each server needs a call of its own.
    """
    if call.path.endswith("HandleReloadConfigRequest"):
        raise UsageError(
            "reload goes to one server, and this client has several", hint="make a client for each server and reload it"
        )
    return replicas.pick(call.failed_servers)


def _goes_elsewhere(replicas: Replicas, number: int, call: Call, error: StatusError) -> bool:
    """Record how a call to a server failed; return whether to send it to another one at once.

    That is so if the call did not reach this server, until each server had its turn. Otherwise the next attempt of the
    call, if there is one, goes to another server.
    """
    replicas.failed(number, error)
    if isinstance(error, (UnavailableError, DeadlineExceededError)):
        call.failed_servers += (number,)
    if error.reached is not False or len(call.failed_servers) % replicas.count == 0 or time.monotonic() >= call.end:
        return False
    call.begin_again()
    return True
