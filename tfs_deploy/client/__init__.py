"""Calling TensorFlow Serving: gRPC and REST clients over one core without I/O, and routing by label.

The names below are imported on first use: a REST consumer does not pay for gRPC, nor the reverse.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfs_deploy.client.grpc_async_client import AsyncClient as AsyncClient
    from tfs_deploy.client.grpc_client import Client as Client
    from tfs_deploy.client.recorder import RequestRecorder as RequestRecorder
    from tfs_deploy.client.rest_async_client import AsyncRestClient as AsyncRestClient
    from tfs_deploy.client.rest_client import RestClient as RestClient
    from tfs_deploy.client.routing import AsyncRouter as AsyncRouter
    from tfs_deploy.client.routing import Router as Router
    from tfs_deploy.client.traffic import Traffic as Traffic
    from tfs_deploy.client.traffic import read_traffic as read_traffic
    from tfs_deploy.client.traffic import write_traffic as write_traffic
    from tfs_deploy.client.values import ModelMetadata as ModelMetadata
    from tfs_deploy.client.values import VersionStatus as VersionStatus
    from tfs_deploy.codec import PredictReply as PredictReply

_HOME = {
    "AsyncClient": "tfs_deploy.client.grpc_async_client",
    "AsyncRestClient": "tfs_deploy.client.rest_async_client",
    "AsyncRouter": "tfs_deploy.client.routing",
    "Client": "tfs_deploy.client.grpc_client",
    "ModelMetadata": "tfs_deploy.client.values",
    "PredictReply": "tfs_deploy.codec",
    "RestClient": "tfs_deploy.client.rest_client",
    "RequestRecorder": "tfs_deploy.client.recorder",
    "Router": "tfs_deploy.client.routing",
    "Traffic": "tfs_deploy.client.traffic",
    "VersionStatus": "tfs_deploy.client.values",
    "read_traffic": "tfs_deploy.client.traffic",
    "write_traffic": "tfs_deploy.client.traffic",
}

__all__ = [
    "AsyncClient",
    "AsyncRestClient",
    "AsyncRouter",
    "Client",
    "ModelMetadata",
    "PredictReply",
    "RequestRecorder",
    "RestClient",
    "Router",
    "Traffic",
    "VersionStatus",
    "read_traffic",
    "write_traffic",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value
