"""The monitoring config: Prometheus metrics on the REST port (monitoring_config.proto)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy import protos

if TYPE_CHECKING:
    from tfs_deploy.deployment.deployment import Monitoring


def monitoring_config(monitoring: Monitoring) -> Any:
    """Make the ``MonitoringConfig`` message."""
    message = protos.MonitoringConfig()
    message.prometheus_config.enable = monitoring.prometheus
    message.prometheus_config.path = monitoring.path
    return message
