# SPDX-License-Identifier: Apache-2.0
"""Clients that follow a deployment's server, also while ``up`` replaces it."""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from tfs_deploy.client.grpc_async_client import AsyncClient
from tfs_deploy.client.grpc_client import Client
from tfs_deploy.client.options import DEFAULT_TIMEOUT
from tfs_deploy.errors import EnvironmentFault, UnavailableError, UsageError
from tfs_deploy.state.endpoint import read_endpoint
from tfs_deploy.state.server_record import why_lost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self, Unpack

    from tfs_deploy.client.call.model_replies import ModelMetadata, VersionStatus
    from tfs_deploy.client.call.predict_request import PredictOptions
    from tfs_deploy.client.options import GrpcOptions
    from tfs_deploy.codec import PredictReply
    from tfs_deploy.state.endpoint import Endpoint

_LOG: Final = logging.getLogger(__name__)
T = TypeVar("T")
C = TypeVar("C")

#: seconds between two reads of the file
_INTERVAL: Final = 0.2


class _Follower(Generic[C]):
    """The client of the server that ``endpoint.json`` names now."""

    def __init__(self, state_dir: Path | str, connect: Callable[[str], C]) -> None:
        self.address = ""
        self._state_dir = Path(state_dir)
        self._open = connect
        self._lock = threading.Lock()
        self._read_at = -_INTERVAL
        self._client: C | None = None
        self._damage = ""
        # its calls may still be in progress: it is closed when the next one is replaced
        self._previous: C | None = None

    def current(self, *, force: bool = False) -> tuple[C, C | None]:
        """Return the client to use, and one to close if there is one; ``force`` reads the file in any case.

        While the file is damaged the client stays the one of before, and the log says so.

        Raises ``UnavailableError`` if what answers there cannot be the deployment's server.
        """
        now = time.monotonic()
        client = self._client
        if client is not None and not force and now - self._read_at < _INTERVAL:
            return client, None
        with self._lock:
            try:
                endpoint = self._endpoint()
            except EnvironmentFault as error:  # damaged: what it said last still counts
                if self._client is None:
                    raise
                if error.message != self._damage:
                    _LOG.warning("%s; calls still go to %s", error.message, self.address)
                self._read_at, self._damage = now, error.message
                return self._client, None
            self._damage = ""
            lost = _lost_server(self._state_dir, endpoint)
            if lost:
                raise UnavailableError(lost, hint="tfs-deploy up FILE starts it", reached=False)
            self._read_at = now
            return self._follow(endpoint)

    def connect(self) -> None:
        """Connect to the recorded server; whether it is lost is for the first call to say."""
        with self._lock:
            endpoint = self._endpoint()
            if not _lost_server(self._state_dir, endpoint):
                self._read_at = time.monotonic()
            self._follow(endpoint)

    def _endpoint(self) -> Endpoint:
        endpoint = read_endpoint(self._state_dir)
        if endpoint is None:
            raise UsageError(f"no server is recorded in {self._state_dir}", hint="tfs-deploy up FILE starts one")
        return endpoint

    def _follow(self, endpoint: Endpoint) -> tuple[C, C | None]:
        outdated: C | None = None
        if self._client is None or endpoint.grpc != self.address:
            outdated, self._previous = self._previous, self._client
            self._client, self.address = self._open(endpoint.grpc), endpoint.grpc
        return self._client, outdated

    def release(self) -> list[C]:
        """Return the clients to close; the next call connects again."""
        with self._lock:
            clients = [client for client in (self._client, self._previous) if client is not None]
            self._client = self._previous = None
            self._read_at = -_INTERVAL
            return clients


def _lost_server(state_dir: Path, endpoint: Endpoint) -> str:
    """Say that what answers at the endpoint cannot be the deployment's server; empty if it can."""
    if endpoint.stopped:
        return f"the server recorded in {state_dir} was stopped; what answers on {endpoint.grpc} now is not it"
    return why_lost(state_dir, endpoint.grpc)


class DeployedClient:
    """``Client`` for the server of a deployment: it follows ``endpoint.json``; safe to share between threads.

    With this client, for example in a ``Router``, no request fails when ``up`` replaces the server on its second pair
    of ports: a call that finds its server gone is sent again to the new one.

    A call is refused with ``UnavailableError`` if another server may have taken the address: after ``down``, and, on
    the machine of an embedded server, once its process has ended. That is looked at five times a second, not by each
    call. From another machine or container, and of a container's server, an end that nothing recorded is not seen.

    Args:
        state_dir: ``.tfs-deploy/NAME`` beside the deployment file.
        connect: returns a client for a ``HOST:PORT``; default: ``Client`` with ``options``.
        options: see ``Client``.
    """

    def __init__(
        self,
        state_dir: Path | str,
        *,
        connect: Callable[[str], Client] | None = None,
        **options: Unpack[GrpcOptions],
    ) -> None:
        self._follower = _Follower(state_dir, connect or (lambda address: Client(address, **options)))
        self._timeout = options.get("timeout", DEFAULT_TIMEOUT)
        self._follower.connect()

    @property
    def address(self) -> str:
        """The ``HOST:PORT`` of the server."""
        self._current()
        return self._follower.address

    def predict(self, model: str, inputs: Mapping[str, Any], **options: Unpack[PredictOptions]) -> PredictReply:
        """Run a signature of a model; see ``Client.predict``."""

        def send(client: Client, left: float) -> PredictReply:
            options["timeout"] = left
            return client.predict(model, inputs, **options)

        return self._call(send, options.get("timeout"))

    def status(self, model: str, *, version: int | None = None, timeout: float | None = None) -> list[VersionStatus]:
        """Return the states of a model's versions; see ``Client.status``."""
        return self._call(lambda client, left: client.status(model, version=version, timeout=left), timeout)

    def metadata(
        self, model: str, *, version: int | None = None, label: str | None = None, timeout: float | None = None
    ) -> ModelMetadata:
        """Return a model's signatures; see ``Client.metadata``."""
        return self._call(
            lambda client, left: client.metadata(model, version=version, label=label, timeout=left), timeout
        )

    def close(self) -> None:
        """Close the connections."""
        for client in self._follower.release():
            client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"DeployedClient({self._follower.address!r})"

    def _call(self, send: Callable[[Client, float], T], timeout: float | None) -> T:
        seconds = self._timeout if timeout is None else timeout
        started = time.monotonic()
        client = self._current()
        try:
            return send(client, seconds)
        except UnavailableError:
            current = self._current(force=True)
            left = seconds - (time.monotonic() - started)
            if current is client or left <= 0:
                raise
            return send(current, left)

    def _current(self, *, force: bool = False) -> Client:
        client, outdated = self._follower.current(force=force)
        if outdated is not None:
            outdated.close()
        return client


class AsyncDeployedClient:
    """``DeployedClient`` whose calls are awaited, for example in an ``AsyncRouter``.

    Args:
        state_dir: ``.tfs-deploy/NAME`` beside the deployment file.
        connect: returns a client for a ``HOST:PORT``; default: ``AsyncClient`` with ``options``.
        options: see ``Client``.
    """

    def __init__(
        self,
        state_dir: Path | str,
        *,
        connect: Callable[[str], AsyncClient] | None = None,
        **options: Unpack[GrpcOptions],
    ) -> None:
        self._follower = _Follower(state_dir, connect or (lambda address: AsyncClient(address, **options)))
        self._timeout = options.get("timeout", DEFAULT_TIMEOUT)
        self._follower.connect()

    @property
    def address(self) -> str:
        """The ``HOST:PORT`` of the server, as of the last call."""
        return self._follower.address

    async def predict(self, model: str, inputs: Mapping[str, Any], **options: Unpack[PredictOptions]) -> PredictReply:
        """Run a signature of a model; see ``Client.predict``."""

        def send(client: AsyncClient, left: float) -> Awaitable[PredictReply]:
            options["timeout"] = left
            return client.predict(model, inputs, **options)

        return await self._call(send, options.get("timeout"))

    async def status(
        self, model: str, *, version: int | None = None, timeout: float | None = None
    ) -> list[VersionStatus]:
        """Return the states of a model's versions; see ``Client.status``."""
        return await self._call(lambda client, left: client.status(model, version=version, timeout=left), timeout)

    async def metadata(
        self, model: str, *, version: int | None = None, label: str | None = None, timeout: float | None = None
    ) -> ModelMetadata:
        """Return a model's signatures; see ``Client.metadata``."""
        return await self._call(
            lambda client, left: client.metadata(model, version=version, label=label, timeout=left), timeout
        )

    async def close(self) -> None:
        """Close the connections."""
        for client in self._follower.release():
            await client.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncDeployedClient({self._follower.address!r})"

    async def _call(self, send: Callable[[AsyncClient, float], Awaitable[T]], timeout: float | None) -> T:
        seconds = self._timeout if timeout is None else timeout
        started = time.monotonic()
        client = await self._current()
        try:
            return await send(client, seconds)
        except UnavailableError:
            current = await self._current(force=True)
            left = seconds - (time.monotonic() - started)
            if current is client or left <= 0:
                raise
            return await send(current, left)

    async def _current(self, *, force: bool = False) -> AsyncClient:
        client, outdated = self._follower.current(force=force)
        if outdated is not None:
            await outdated.close()
        return client
