# SPDX-License-Identifier: Apache-2.0
"""tensorflow.serving.ModelService over the core (apis/model_service.proto)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import grpc

from tfs_deploy import protos
from tfs_deploy.errors import InvalidArgumentError
from tfs_deploy.protos import methods
from tfs_deploy.server.grpc.callers import require_this_machine
from tfs_deploy.server.grpc.handlers import MessageAnswer, message_handler
from tfs_deploy.server.grpc.model_spec import required_spec

if TYPE_CHECKING:
    from tfs_deploy.server.data_plane import DataPlane
    from tfs_deploy.server.workers import CallLimit


def model_service(
    data_plane: DataPlane, gate: CallLimit | None, threads: ThreadPoolExecutor, *, remote_reload: bool = False
) -> grpc.GenericRpcHandler:
    """Return the service's handler; reloads wait in ``threads`` for their models, and no ``gate`` refuses them.

    Without ``remote_reload`` only clients of this machine may reload.
    """
    return grpc.method_handlers_generic_handler(
        methods.MODEL_SERVICE,
        {
            "GetModelStatus": message_handler(protos.GetModelStatusRequest, _status(data_plane), gate),
            "HandleReloadConfigRequest": message_handler(
                protos.ReloadConfigRequest,
                _reload(data_plane),
                None,
                threads=threads,
                admit=None if remote_reload else require_this_machine,
            ),
        },
    )


def _status(data_plane: DataPlane) -> MessageAnswer:
    def status(request: Any, _timeout: float | None) -> Any:
        response = protos.GetModelStatusResponse()
        for state in data_plane.status(required_spec(request)):
            entry = response.model_version_status.add(version=state.id.version, state=int(state.state))
            entry.status.SetInParent()
            if state.error is not None:
                entry.status.error_code = int(state.error.code)
                entry.status.error_message = state.error.message
        return response

    return status


def _reload(data_plane: DataPlane) -> MessageAnswer:
    """Answer HandleReloadConfigRequest (model_servers/model_service_impl.cc)."""
    metrics = data_plane.metrics

    def reload(request: Any, _timeout: float | None) -> Any:
        if request.config.WhichOneof("config") != "model_config_list":
            raise InvalidArgumentError(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is "
                "currently supported"
            )
        before = [metrics.value(name) for name in request.metric_names]
        data_plane.core.reload(request.config)
        response = protos.ReloadConfigResponse()
        response.status.SetInParent()
        for name, value in zip(request.metric_names, before, strict=True):
            response.metric.add(name=name, int64_value_increase=metrics.value(name) - value)
        return response

    return reload
