# SPDX-License-Identifier: Apache-2.0
"""Clients of TensorFlow Serving: gRPC and REST over one core without I/O, and routers that split requests over labels.

The names below are imported on first use: a REST client does not load gRPC, nor the reverse.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tfs_deploy.lazy import lazy_names

if TYPE_CHECKING:
    from tfs_deploy.client.bound_model import BoundModel as BoundModel
    from tfs_deploy.client.call.call_record import CallRecord as CallRecord
    from tfs_deploy.client.call.inference_replies import ClassifyReply as ClassifyReply
    from tfs_deploy.client.call.inference_replies import RegressReply as RegressReply
    from tfs_deploy.client.call.inference_replies import ScoredClass as ScoredClass
    from tfs_deploy.client.call.inference_replies import Task as Task
    from tfs_deploy.client.call.model_replies import ModelMetadata as ModelMetadata
    from tfs_deploy.client.call.model_replies import VersionStatus as VersionStatus
    from tfs_deploy.client.call.retries import Retries as Retries
    from tfs_deploy.client.call.stats import ClientStats as ClientStats
    from tfs_deploy.client.core.batching import Prediction as Prediction
    from tfs_deploy.client.deployed import AsyncDeployedClient as AsyncDeployedClient
    from tfs_deploy.client.deployed import DeployedClient as DeployedClient
    from tfs_deploy.client.grpc_async_client import AsyncClient as AsyncClient
    from tfs_deploy.client.grpc_client import Client as Client
    from tfs_deploy.client.hooks.hook import Hook as Hook
    from tfs_deploy.client.hooks.prometheus import PrometheusHook as PrometheusHook
    from tfs_deploy.client.hooks.tracing import TracingHook as TracingHook
    from tfs_deploy.client.rest_async_client import AsyncRestClient as AsyncRestClient
    from tfs_deploy.client.rest_client import RestClient as RestClient
    from tfs_deploy.client.routing.async_router import AsyncRouter as AsyncRouter
    from tfs_deploy.client.routing.recorder import RequestRecorder as RequestRecorder
    from tfs_deploy.client.routing.router import Router as Router
    from tfs_deploy.client.tls import Tls as Tls
    from tfs_deploy.codec import PredictReply as PredictReply
    from tfs_deploy.state.traffic import Traffic as Traffic
    from tfs_deploy.state.traffic import read_traffic as read_traffic
    from tfs_deploy.state.traffic import write_traffic as write_traffic

# gRPC reads this when it is imported; without it, a client that has made calls hangs in a forked child
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "1")

_HOME = {
    "AsyncClient": "tfs_deploy.client.grpc_async_client",
    "AsyncDeployedClient": "tfs_deploy.client.deployed",
    "AsyncRestClient": "tfs_deploy.client.rest_async_client",
    "AsyncRouter": "tfs_deploy.client.routing.async_router",
    "BoundModel": "tfs_deploy.client.bound_model",
    "CallRecord": "tfs_deploy.client.call.call_record",
    "ClassifyReply": "tfs_deploy.client.call.inference_replies",
    "Client": "tfs_deploy.client.grpc_client",
    "ClientStats": "tfs_deploy.client.call.stats",
    "DeployedClient": "tfs_deploy.client.deployed",
    "Hook": "tfs_deploy.client.hooks.hook",
    "ModelMetadata": "tfs_deploy.client.call.model_replies",
    "PredictReply": "tfs_deploy.codec",
    "Prediction": "tfs_deploy.client.core.batching",
    "PrometheusHook": "tfs_deploy.client.hooks.prometheus",
    "RegressReply": "tfs_deploy.client.call.inference_replies",
    "RequestRecorder": "tfs_deploy.client.routing.recorder",
    "RestClient": "tfs_deploy.client.rest_client",
    "Retries": "tfs_deploy.client.call.retries",
    "Router": "tfs_deploy.client.routing.router",
    "ScoredClass": "tfs_deploy.client.call.inference_replies",
    "Task": "tfs_deploy.client.call.inference_replies",
    "Tls": "tfs_deploy.client.tls",
    "TracingHook": "tfs_deploy.client.hooks.tracing",
    "Traffic": "tfs_deploy.state.traffic",
    "VersionStatus": "tfs_deploy.client.call.model_replies",
    "read_traffic": "tfs_deploy.state.traffic",
    "write_traffic": "tfs_deploy.state.traffic",
}

__all__ = [
    "AsyncClient",
    "AsyncDeployedClient",
    "AsyncRestClient",
    "AsyncRouter",
    "BoundModel",
    "CallRecord",
    "ClassifyReply",
    "Client",
    "ClientStats",
    "DeployedClient",
    "Hook",
    "ModelMetadata",
    "PredictReply",
    "Prediction",
    "PrometheusHook",
    "RegressReply",
    "RequestRecorder",
    "RestClient",
    "Retries",
    "Router",
    "ScoredClass",
    "Task",
    "Tls",
    "TracingHook",
    "Traffic",
    "VersionStatus",
    "read_traffic",
    "write_traffic",
]

__getattr__, __dir__ = lazy_names(__name__, _HOME, __all__)
