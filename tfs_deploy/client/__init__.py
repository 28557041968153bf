"""Calling TensorFlow Serving: gRPC and REST clients over one core without I/O, and routing by label."""

from __future__ import annotations

from tfs_deploy.client.grpc_client import Client
from tfs_deploy.client.rest_client import RestClient
from tfs_deploy.client.routing import Router
from tfs_deploy.client.traffic import Traffic, read_traffic, write_traffic
from tfs_deploy.client.values import ModelMetadata, VersionStatus
from tfs_deploy.codec import PredictReply

__all__ = [
    "Client",
    "ModelMetadata",
    "PredictReply",
    "RestClient",
    "Router",
    "Traffic",
    "VersionStatus",
    "read_traffic",
    "write_traffic",
]
