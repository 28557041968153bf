# SPDX-License-Identifier: Apache-2.0
"""The gRPC server: its threads, its ports and the services on them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import grpc

from tfs_deploy.errors import EnvironmentFault
from tfs_deploy.server.grpc.health_service import health_service
from tfs_deploy.server.grpc.model_service import model_service
from tfs_deploy.server.grpc.prediction_service import prediction_service
from tfs_deploy.server.workers import CallLimit, WorkerPool

if TYPE_CHECKING:
    from tfs_deploy.server.data_plane import DataPlane

#: threads for calls that may wait for long, and those that refuse calls beyond the limit
_PATIENT_THREADS: Final = 8
_REFUSING_THREADS: Final = 2
#: calls that may wait for a thread; each takes some 25 KB before its request is read
_MOST_WAITING: Final = 4096


class GrpcServer:
    """The prediction service and the model service on a port.

    Args:
        data_plane: answers the requests.
        threads: how many requests are worked on at a time; more wait their turn.
        limit: how many requests there may be at a time; more are refused. No limit if ``None``.
        options: channel arguments.
        health: offer the standard health service too.
        remote_reload: let clients of other machines replace the config.
        tensor_content: write arrays of Predict replies into ``tensor_content``, not into the ``*_val`` fields.
    """

    def __init__(
        self,
        data_plane: DataPlane,
        *,
        threads: int,
        limit: int | None = None,
        options: Sequence[tuple[str, Any]] = (),
        health: bool = False,
        remote_reload: bool = False,
        tensor_content: bool = False,
    ) -> None:
        gate = None if limit is None else CallLimit(limit)
        # reloads and health watches may wait for long; they must not take the threads that answer
        patient = ThreadPoolExecutor(_PATIENT_THREADS, thread_name_prefix="grpc-patient")
        handlers = [
            prediction_service(data_plane, gate, tensor_content=tensor_content),
            model_service(data_plane, gate, patient, remote_reload=remote_reload),
        ]
        if health:
            handlers.append(health_service(patient))
        handlers.append(_NoSuchMethod())
        self._server = grpc.server(
            WorkerPool(threads if gate is None else threads + _REFUSING_THREADS, "grpc"),
            handlers=handlers,
            maximum_concurrent_rpcs=threads + _PATIENT_THREADS + _MOST_WAITING,
            options=[
                # of an argument that is given twice, gRPC takes the first
                *options,
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", -1),
                ("grpc.max_send_message_length", -1),
            ],
        )

    def listen(self, address: str, credentials: grpc.ServerCredentials | None = None) -> int:
        """Take a port, with TLS if there are credentials; returns its number.

        Raises:
            EnvironmentFault: the address cannot be used.
        """
        try:
            if credentials is None:
                return int(self._server.add_insecure_port(address))
            return int(self._server.add_secure_port(address, credentials))
        except RuntimeError as error:
            if credentials is not None:
                raise EnvironmentFault(
                    f"gRPC cannot listen on {address} with the key and certificate of the SSL config",
                    hint="server_key and server_cert hold PEM text, not paths, and belong together",
                ) from error
            raise EnvironmentFault(
                f"gRPC cannot listen on {address}",
                hint="check that its directory exists and is writable, and that the path is short",
            ) from error

    def start(self) -> None:
        """Begin to answer."""
        self._server.start()

    def stop(self, grace: float) -> None:
        """Refuse new calls, let those in flight end within ``grace`` seconds."""
        self._server.stop(grace).wait()


class _NoSuchMethod:
    """Refuses every method that the services before it do not have; with no text, where the Python library has one."""

    def __init__(self) -> None:
        # a handler of streams refuses calls of every kind
        self._handler = grpc.stream_stream_rpc_method_handler(_refuse)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return the handler for a method."""
        del handler_call_details
        return self._handler


def _refuse(requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
    del requests
    context.abort(grpc.StatusCode.UNIMPLEMENTED, "")
    raise AssertionError  # abort has raised
