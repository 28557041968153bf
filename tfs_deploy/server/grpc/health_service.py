# SPDX-License-Identifier: Apache-2.0
"""grpc.health.v1.Health as the server has it (``--enable_grpc_healthcheck_service``).

Its services have bare names, are SERVING from the start and never change (model_servers/server.cc): it tells that
the process answers, not that a model does.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf.message import DecodeError

from tfs_deploy import protos
from tfs_deploy.protos import methods

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import ThreadPoolExecutor

_SERVICES: Final = frozenset({"", "ModelService", "PredictionService"})
_SERVING: Final = 1
_SERVICE_UNKNOWN: Final = 3


def _service_name(request: bytes) -> str | None:
    try:
        name: str = protos.HealthCheckRequest.FromString(request).service
    except DecodeError:
        return None
    return name


def _status(status: int) -> bytes:
    data: bytes = protos.HealthCheckResponse(status=status).SerializeToString()
    return data


def _check(request: bytes, context: grpc.ServicerContext) -> bytes:
    if _service_name(request) not in _SERVICES:
        context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
    return _status(_SERVING)


def _watch(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
    yield _status(_SERVING if _service_name(request) in _SERVICES else _SERVICE_UNKNOWN)
    ended = threading.Event()
    if context.add_callback(ended.set):
        ended.wait()


def health_service(threads: ThreadPoolExecutor) -> grpc.GenericRpcHandler:
    """Return the handler of grpc.health.v1.Health; its watches wait in ``threads``."""

    def watch(request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        return _watch(request, context)

    watch.experimental_thread_pool = threads  # type: ignore[attr-defined]
    return grpc.method_handlers_generic_handler(
        methods.HEALTH_SERVICE,
        {
            "Check": grpc.unary_unary_rpc_method_handler(_check),
            "Watch": grpc.unary_stream_rpc_method_handler(watch),
        },
    )
