# SPDX-License-Identifier: Apache-2.0
"""The files of a deployment that its server reads, all in one directory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tfs_deploy import protos
from tfs_deploy.atomic import write_files
from tfs_deploy.config.batching import batching_parameters
from tfs_deploy.config.models import model_server_config, render
from tfs_deploy.config.monitoring import monitoring_config
from tfs_deploy.config.ssl import key_mode, ssl_config
from tfs_deploy.config.written import sealed
from tfs_deploy.protos.text_format import parse_message, read_message

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tfs_deploy.deployment.active import ActiveModel
    from tfs_deploy.deployment.deployment import Deployment

MODELS: Final = "models.config"
BATCHING: Final = "batching.config"
MONITORING: Final = "monitoring.config"
SSL: Final = "ssl.config"
SESSION: Final = "session.config"
PLATFORM: Final = "platform.config"

_NOTHING_SET: Final = "# the server's defaults\n"

#: file name -> the message in it
KINDS: Final[dict[str, str]] = {
    MODELS: "ModelServerConfig",
    BATCHING: "BatchingParameters",
    MONITORING: "MonitoringConfig",
    SSL: "SSLConfig",
    SESSION: "ConfigProto",
    PLATFORM: "PlatformConfigMap",
}


def config_files(deployment: Deployment, active: Mapping[str, ActiveModel] | None = None) -> dict[str, str]:
    """Return file name -> text for everything the server of a deployment reads.

    Reads the files that the deployment names (TLS, session, platform). Raises ``SpecError`` for one that does not
    hold its message, ``UsageError`` for one that cannot be read.
    """
    server = deployment.server
    files = {MODELS: render(model_server_config(deployment, active))}
    if deployment.batching is not None:
        files[BATCHING] = _text(batching_parameters(deployment.batching))
    if deployment.monitoring is not None:
        files[MONITORING] = _text(monitoring_config(deployment.monitoring))
    if deployment.ssl is not None:
        files[SSL] = _text(ssl_config(deployment.ssl))
    if server.session_config is not None:
        files[SESSION] = _text(read_message(server.session_config, protos.ConfigProto()))
    if server.platform_config is not None:
        files[PLATFORM] = _text(read_message(server.platform_config, protos.PlatformConfigMap()))
    return files


def _text(message: Any) -> str:
    """Return a message as text that is never empty: the server maps its files into memory, which takes a byte."""
    return protos.to_text(message) or _NOTHING_SET


def parse_config_file(name: str, text: str, *, source: str | None = None) -> Any:
    """Read the text of the config file ``name`` (``KINDS``) into its message; ``SpecError`` with the line."""
    return parse_message(text, getattr(protos, KINDS[name])(), source=source or name)


def write_config(
    deployment: Deployment,
    directory: Path,
    active: Mapping[str, ActiveModel] | None = None,
    *,
    checksum: bool = False,
) -> list[Path]:
    """Write a deployment's config files into ``directory``, each replaced whole, and return their paths.

    The file that holds a private key is as readable as the key's own file. With ``checksum`` the models' config shows
    damage when it is read back (``written.read_written``).
    """
    files = config_files(deployment, active)
    if checksum:
        files[MODELS] = sealed(files[MODELS])
    modes = {} if deployment.ssl is None else {SSL: key_mode(deployment.ssl)}
    return write_files(directory, files, modes=modes)
