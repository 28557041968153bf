# SPDX-License-Identifier: Apache-2.0
"""The monitoring config: Prometheus metrics on the REST port (monitoring_config.proto)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tfs_deploy import protos
from tfs_deploy.protos.text_format import parse_message

if TYPE_CHECKING:
    from tfs_deploy.deployment.deployment import Monitoring


def monitoring_config(monitoring: Monitoring) -> Any:
    """Make the ``MonitoringConfig`` message."""
    message = protos.MonitoringConfig()
    message.prometheus_config.enable = monitoring.prometheus
    message.prometheus_config.path = monitoring.path
    return message


def monitoring_section(text: str, source: str) -> dict[str, Any]:
    """Return the section ``monitoring`` of a deployment file for the text of a ``MonitoringConfig``."""
    found = parse_message(text, protos.MonitoringConfig(), source=source).prometheus_config
    section: dict[str, Any] = {"prometheus": found.enable}
    return section | ({"path": found.path} if found.path else {})
